//! The German sentences of the demo's newsroom.

use super::{Texts, de_stories::STORIES};

pub(super) const TEXTS: Texts = Texts {
    name: "Deutsch",
    sections: ["Stadtrat", "Kultur", "Sport", "Wirtschaft"],
    stories: &STORIES,
    created: [
        "Neues aus dem Rathaus, von unserer Redaktion kurz nach der Sitzung aufgeschrieben.",
        "Was in Valbrucks Sälen, Museen und Kellern läuft, zusammengestellt von unserer Kulturredaktion.",
        "Von den Plätzen, aus den Hallen und vom Flussufer: Unsere Sportredaktion berichtet.",
        "Aus Werkstätten, Läden und Büros in Valbruck und Umgebung.",
    ],
    sentences: [COUNCIL, CULTURE, SPORT, BUSINESS, GENERAL],
    places: [
        "im Rathaus",
        "am alten Hafen",
        "im Mühlenviertel",
        "in der Markthalle",
        "im Uferpark",
        "am Bahnhof",
        "im Norden der Stadt",
        "auf dem Martinsplatz",
    ],
    days: [
        "am Montag",
        "am Dienstag",
        "am Mittwoch",
        "am Donnerstag",
        "am Freitag",
        "am Samstag",
        "am Sonntag",
    ],
    months: [
        "im Februar",
        "im März",
        "im Mai",
        "im Juni",
        "im September",
        "im November",
    ],
    digit_separator: '.',
    euros: "Euro",
    all_articles: "Alle Artikel",
    version: "Version",
    no_article: "Den Artikel {id} gibt es nicht auf Deutsch.",
};

const COUNCIL: [&str; 12] = [
    "Der Antrag wurde bei nur {few} Gegenstimmen angenommen.",
    "Die Arbeiten kosten {sum}, die Hälfte davon trägt die Region.",
    "Der Bau soll {month} beginnen und wird in {few} Abschnitten ausgeführt.",
    "{person} erinnerte den Ausschuss daran, dass der alte Plan aus einem anderen Jahrhundert stammt.",
    "Anwohnerinnen und Anwohner hatten {place} {n} Unterschriften gesammelt.",
    "Die Verwaltung wird alle {few} Wochen über den Fortschritt berichten.",
    "Für {few} Wochen gibt es {place} eine Umleitung; die Busse halten auf der anderen Straßenseite.",
    "„Niemand sollte das Auto brauchen, um zur Schule zu kommen“, sagte {person}.",
    "Ein Antrag der Opposition, die Abstimmung zu verschieben, wurde abgelehnt.",
    "Außerdem werden {n} neue Straßenlampen nur ein Drittel des Stroms der alten verbrauchen.",
    "Aus dem Bürgermeisteramt kam Dank an {person} für {few} Jahre geduldiger Vorbereitung.",
    "Die übrigen {sum} fließen in eine Rücklage für den kommenden Winter.",
];

const CULTURE: [&str; 12] = [
    "Karten gibt es {place}; unter achtzehn Jahren ist der Eintritt frei.",
    "{n} Gäste sahen {day} die Vorpremiere, und der Applaus hielt minutenlang an.",
    "{person} führt Regie mit leichter Hand und einem feinen Gehör für die Stille.",
    "Auf dem Programm stehen {few} Uraufführungen.",
    "Nachbarstädte haben {n} Stücke ausgeliehen, viele davon wurden noch nie gezeigt.",
    "Die Stiftung unterstützt das Vorhaben mit {sum}.",
    "Geprobt wird {place}, im Sommer bei offenen Fenstern.",
    "„Mir ist ein volles Haus lieber als ein perfekter Abend“, sagte {person}.",
    "Eine Führung in einfacher Sprache wird {day} angeboten.",
    "Der schönste Raum wurde {month} restauriert und riecht noch nach frischem Holz.",
    "Vor dem Hauptkonzert spielen {place} junge Musikerinnen und Musiker.",
    "Der Katalog hat {n} Seiten und kostet weniger als eine Kinokarte.",
];

const SPORT: [&str; 12] = [
    "Nach {few} Minuten lag die Heimmannschaft bereits vorn.",
    "{n} Zuschauerinnen und Zuschauer verfolgten {place} trotz des Regens das Spiel.",
    "{person} trainiert {few} Mal in der Woche, meist vor der Arbeit.",
    "„Wir wussten, dass die Ausdauer entscheidet“, sagte {person}.",
    "Das Rückspiel findet {day} statt.",
    "Der Verein hat {n} Mitglieder, die Hälfte davon ist unter zwanzig.",
    "In der zweiten Hälfte ließ das Tempo nach, doch die Abwehr machte keine Fehler mehr.",
    "Neue Geräte im Wert von {sum} werden {month} geliefert.",
    "Der Nachwuchs zeigte {place}, dass man von ihm noch hören wird.",
    "{person} führt die Tabelle mit {few} Punkten Vorsprung an.",
    "Neue Gesichter sind {day} willkommen; Turnschuhe und ein Handtuch genügen.",
    "Die Spielleitung hatte wenig zu tun, und beide Mannschaften lobten die Fairness.",
];

const BUSINESS: [&str; 12] = [
    "Das Unternehmen beschäftigt {n} Menschen und sucht {few} Auszubildende.",
    "Der Umsatz stieg gegenüber dem Vorjahr um {few} Prozent.",
    "{person} übernahm {month} die Leitung.",
    "Insgesamt {sum} werden in eine neue Halle und leisere Maschinen investiert.",
    "„Unsere Kundschaft fragt eher nach Reparaturen als nach Neuem“, sagte {person}.",
    "Der größte Teil der Waren verlässt die Stadt inzwischen per Bahn oder Schiff.",
    "Das Geschäft {place} öffnet {day} um acht Uhr.",
    "Die Energiepreise bleiben die größte Sorge, noch vor dem Mangel an Fachkräften.",
    "Eine Genossenschaft aus {few} Betrieben teilt sich das Lager {place}.",
    "Die Bank gewährte auf der Grundlage eines zweiseitigen Plans einen Kredit von {sum}.",
    "In der ersten Woche gingen {n} Bestellungen ein.",
    "{person} rechnet {month} mit den ersten schwarzen Zahlen.",
];

const GENERAL: [&str; 12] = [
    "{person} beantwortete {day} {place} Fragen aus der Bevölkerung.",
    "{n} Menschen kamen {day}, um zu hören, was geplant ist.",
    "„Wir wollten etwas, das auch in zehn Jahren noch funktioniert“, sagte {person}.",
    "Eine erste Bilanz ist {month} fällig, sobald die Zahlen vorliegen.",
    "Die Pläne hängen {place} bis auf Weiteres aus.",
    "Manche hatten sich mehr erhofft, andere staunten, dass es überhaupt dazu kam.",
    "Wer helfen möchte, kann sich {place} eintragen; {few} Freiwillige werden noch gesucht.",
    "„Angefangen hat es mit einem Gespräch beim Kaffee“, erinnert sich {person}.",
    "Die Stimmung blieb freundlich, auch als die Diskussion fachlich wurde.",
    "Der nächste Termin steht schon fest: {day}, {place}.",
    "Von den {n} Antworten auf die Umfrage waren fast zwei Drittel zustimmend.",
    "{person} erwartet keine Verzögerung, sofern das Wetter hält.",
];
