//! The forty stories in German: headline and lead.

use super::{STORIES as COUNT, Story};

pub(super) const STORIES: [Story; COUNT] = [
    story(
        "Stadtrat beschließt Straßenbahn zum Hafen",
        "Nach neun Jahren Planung ist der Weg frei: in elf Minuten vom Bahnhof zum alten Hafen, mit sieben Haltestellen und einem Gleisbett aus Rasen.",
    ),
    story(
        "Stadttheater eröffnet die Spielzeit mit einem neuen Stück",
        "Das Ensemble beginnt die Spielzeit mit einem Stück über zwei Schwestern und eine überflutete Bäckerei, geschrieben in Valbruck und über Valbruck.",
    ),
    story(
        "Valbruck gewinnt den Regionalpokal nach Verlängerung",
        "Ein Kopfball in der letzten Minute, eine Rettung auf der Linie und eine lange Nacht auf dem Martinsplatz: Nach einunddreißig Jahren ist der Pokal zurück.",
    ),
    story(
        "Werft stellt neue Auszubildende ein",
        "Zwei Fähren mit Elektroantrieb sind bestellt, und zum ersten Mal seit zehn Jahren bildet die Werft wieder in Schweißtechnik und Elektrik aus.",
    ),
    story(
        "Mehr Schatten für die Altstadt",
        "Dreihundert Bäume, Sonnensegel über den engen Gassen und Trinkbrunnen sollen heiße Sommer in der Altstadt erträglich machen.",
    ),
    story(
        "Museum zeigt Karten aus fünf Jahrhunderten",
        "Flüsse, die gewandert sind, Inseln, die es nie gab, und eine Stadt, die sich über ihren Namen nicht einig war: Das Museum öffnet seine Kartenkammer.",
    ),
    story(
        "Neues Schwimmbad öffnet im Frühjahr",
        "Acht Bahnen, ein warmes Becken zum Schwimmenlernen und Wärme aus dem Fluss: Der Neubau am Uferpark ist fast fertig.",
    ),
    story(
        "Wochenmarkt bleibt bis zum Abend geöffnet",
        "Wer tagsüber arbeitet, kann Käse und Salat nun nach Feierabend kaufen: Der Markt auf dem Martinsplatz probiert neue Zeiten aus.",
    ),
    story(
        "Die Ratssitzung: alle Beschlüsse im Wortlaut",
        "Vom Haushalt bis zum Wartehäuschen: unser Protokoll der längsten Sitzung des Jahres, Punkt für Punkt, mit den Argumenten beider Seiten.",
    ),
    story(
        "Nacht der Musik: das vollständige Programm",
        "Vierzig Bühnen, eine Karte, kein Auto: was wo spielt, wann es beginnt und wie man danach nach Hause kommt. Der vollständige Wegweiser für Samstagnacht.",
    ),
    story(
        "Ruderclub feiert hundertsten Geburtstag",
        "1926 teilten sich elf Leute ein einziges Boot. Heute hat der Club ein eigenes Bootshaus, einen Vierer in der Bundesliga und eine Warteliste.",
    ),
    story(
        "Brauerei stellt auf Solarstrom um",
        "Das Dach der alten Mälzerei trägt nun genug Module, um von März bis Oktober mit Sonnenlicht zu brauen.",
    ),
    story(
        "Radweg am Fluss ist fertig",
        "Zwölf Kilometer ohne Ampel: Der Uferweg verbindet nun den nördlichen Stadtteil mit dem Hafen.",
    ),
    story(
        "Bibliothek verleiht Instrumente",
        "Geigen, Trommeln und ein weit gereistes Akkordeon lassen sich jetzt ausleihen wie Bücher, für vier Wochen und mit einer Einführung ins Stimmen.",
    ),
    story(
        "Der Marathon: Ergebnisse, Geschichten und Bilder",
        "Zweitausend Läuferinnen und Läufer, ein Heiratsantrag und ein Rekord, mit dem niemand gerechnet hat: der Valbruck-Marathon vom ersten bis zum letzten Kilometer.",
    ),
    story(
        "Die Handelskammer blickt auf das Jahr zurück",
        "Aufträge, offene Stellen, Mieten und Energiepreise: Der Jahresbericht der Kammer zeigt eine Wirtschaft, die sich schneller verändert, als sie wächst.",
    ),
    story(
        "Schulsanierung schneller als geplant",
        "Neue Fenster, ruhige Klassenzimmer und eine Mensa mit Tageslicht: Die Mühlenschule zieht ein halbes Jahr früher wieder ein.",
    ),
    story(
        "Filmfestival lädt junge Regietalente ein",
        "Wer unter fünfundzwanzig ist, kann einen Film von höchstens sieben Minuten einreichen. Einzige Bedingung: Eine Szene muss auf einer Brücke spielen.",
    ),
    story(
        "Handballerinnen steigen in die erste Liga auf",
        "Mit einem Sieg mit zwei Toren Vorsprung am letzten Spieltag haben es Valbrucks Handballerinnen nach oben geschafft, zum ersten Mal in der Vereinsgeschichte.",
    ),
    story(
        "Buchhandlung am Platz findet Nachfolge",
        "Die älteste Buchhandlung der Stadt bleibt: Zwei ehemalige Auszubildende übernehmen den Laden, die Katze und die Leseabende.",
    ),
    story(
        "Bürgerhaushalt: Die Stadt stimmt ab",
        "Welcher Spielplatz, welche Bank, welcher Überweg? Zum dritten Mal entscheidet die Bevölkerung selbst über einen Teil des Haushalts.",
    ),
    story(
        "Der Stadtchor sucht Stimmen",
        "Kein Vorsingen, kein Beitrag, aber jeden Mittwochabend: Der Chor will im November das große Requiem singen und braucht vor allem Bässe.",
    ),
    story(
        "Eine Kletterhalle für alle Schulen",
        "Die ehemalige Feuerwache wird zur Kletterhalle. Vormittags gehört sie den Schulen, abends allen anderen.",
    ),
    story(
        "Start-up macht Verpackungen aus Algen",
        "Was der Fluss anspült, wird zur Schale für Beeren: Ein junges Unternehmen aus dem Mühlenviertel hat seinen ersten Großkunden gefunden.",
    ),
    story(
        "Dreihundert Wohnungen auf dem alten Güterbahnhof",
        "Zwischen Stellwerk und Lagerhaus soll ein Viertel ohne Durchgangsverkehr wachsen, ein Drittel davon mit gebundenen Mieten.",
    ),
    story(
        "Straßenkunst in der Bahnhofsunterführung",
        "Sechs Kunstschaffende haben aus dem grauen Tunnel einen Spaziergang am Grund des Flusses gemacht. Der Hecht wird schon jetzt am häufigsten fotografiert.",
    ),
    story(
        "Schachturnier füllt die Markthalle",
        "Zwischen Fischtheke und Blumenstand saßen mehr als hundert Menschen schweigend am Brett. Das Schnellturnier gewann eine Zwölfjährige.",
    ),
    story(
        "Bäckerei in vierter Generation",
        "Der Sauerteig ist älter als alle in der Familie. Nun hat die jüngste Tochter die Bäckerei am Mühlbach übernommen.",
    ),
    story(
        "Ein Jahr der Beschlüsse: was der Rat erreicht hat",
        "Welche Versprechen gehalten wurden, welche verschoben und was alles gekostet hat: der große Rückblick auf ein Jahr im Stadtrat.",
    ),
    story(
        "Das Kulturjahr: ein Rückblick in zwölf Kapiteln",
        "Premieren, Abschiede, eine umstrittene Statue und der lauteste Abend in der Geschichte der Markthalle: das Kulturjahr Monat für Monat.",
    ),
    story(
        "Die Saison in Zahlen",
        "Jeder Verein, jede Tabelle, alle Treffer: unsere große Übersicht über das Sportjahr in Valbruck, von Aikido bis Yoga.",
    ),
    story(
        "Hafen schlägt mehr Güter um als je zuvor",
        "Getreide, Holz und Flügel für Windräder: Der Binnenhafen meldet das beste Jahr seit Beginn der Aufzeichnungen, mit halb so vielen Lastwagen.",
    ),
    story(
        "Bürgerbüro öffnet auch samstags",
        "Ausweise, Anmeldungen und Angelscheine: Ab dem nächsten Monat öffnet das Büro am Samstagvormittag, und zwar ohne Termin.",
    ),
    story(
        "Puppentheater wird fünfzig",
        "Der Wolf trägt sein viertes Fell, die Großmutter ihren zweiten Kopf: ein Besuch hinter der kleinsten Bühne der Stadt.",
    ),
    story(
        "Radrennen führt durch die Stadt",
        "Die dritte Etappe führt über die alte Brücke und dreimal den Weinberg hinauf. Was Gäste und Anwohner wissen sollten.",
    ),
    story(
        "Hotels melden Rekordsommer",
        "Mehr Gäste mit der Bahn, längere Aufenthalte und ein überraschender Liebling unter den Ausflügen: der Sommer in den Zahlen des Fremdenverkehrsamts.",
    ),
    story(
        "Hochwasserschutz nach sechs Jahren fertig",
        "Die letzte Mauer steht, und sie lässt sich umklappen: An trockenen Tagen ist der neue Hochwasserschutz eine Promenade mit Blick auf den Fluss.",
    ),
    story(
        "Gedichte im Bus",
        "Statt Werbung lesen die Fahrgäste der Linie vier in diesem Monat Gedichte, geschrieben in der Schule, im Ruhestand und einmal am Steuer des Busses.",
    ),
    story(
        "Jugendsporttag stellt Rekord auf",
        "So viele Kinder wie noch nie nahmen am Sporttag teil. Die beliebteste Disziplin war weder Laufen noch Springen.",
    ),
    story(
        "Messe zeigt, was das Handwerk kann",
        "Vom Schieferdach bis zum Sauerteigofen: Drei Tage lang zeigen die Werkstätten in der Markthalle ihr Können, und wer zuschaut, darf mitmachen.",
    ),
];

const fn story(title: &'static str, summary: &'static str) -> Story {
    Story { title, summary }
}
