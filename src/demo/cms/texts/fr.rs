//! The French sentences of the demo's newsroom.

use super::{Texts, fr_stories::STORIES};

pub(super) const TEXTS: Texts = Texts {
    name: "Français",
    sections: ["Conseil municipal", "Culture", "Sport", "Économie"],
    stories: &STORIES,
    created: [
        "Des nouvelles de la mairie, notées par notre rédaction peu après la séance.",
        "Ce qui se joue dans les salles, les musées et les caves de Valbruck, par notre service culture.",
        "Des terrains, des gymnases et des berges : le compte rendu de notre service des sports.",
        "Des ateliers, des boutiques et des bureaux de Valbruck et des environs.",
    ],
    sentences: [COUNCIL, CULTURE, SPORT, BUSINESS, GENERAL],
    places: [
        "à la mairie",
        "au vieux port",
        "dans le quartier des Moulins",
        "aux halles",
        "au parc de la Rive",
        "à la gare",
        "dans le nord de la ville",
        "sur la place Saint-Martin",
    ],
    days: [
        "lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche",
    ],
    months: [
        "en février",
        "en mars",
        "en mai",
        "en juin",
        "en septembre",
        "en novembre",
    ],
    digit_separator: '\u{202f}',
    euros: "euros",
    all_articles: "Tous les articles",
    version: "Version",
    no_article: "L’article {id} n’existe pas en français.",
};

const COUNCIL: [&str; 12] = [
    "La motion a été adoptée avec seulement {few} voix contre.",
    "Les travaux coûteront {sum}, dont la moitié à la charge de la région.",
    "Le chantier doit commencer {month} et se déroulera en {few} étapes.",
    "{person} a rappelé à la commission que l’ancien plan date d’un autre siècle.",
    "Les riverains avaient recueilli {n} signatures {place}.",
    "L’administration rendra compte de l’avancement toutes les {few} semaines.",
    "Pendant {few} semaines, une déviation sera en place {place} ; les bus s’arrêteront de l’autre côté de la rue.",
    "« Personne ne devrait avoir besoin de la voiture pour aller à l’école », a déclaré {person}.",
    "Une demande de l’opposition visant à reporter le vote a été rejetée.",
    "En outre, {n} nouveaux lampadaires consommeront un tiers de l’électricité des anciens.",
    "La mairie a remercié {person} pour {few} années de patiente préparation.",
    "Le reste, soit {sum}, alimentera une réserve pour l’hiver prochain.",
];

const CULTURE: [&str; 12] = [
    "Les billets sont en vente {place} ; l’entrée est gratuite pour les moins de dix-huit ans.",
    "{n} personnes ont assisté à l’avant-première {day}, et les applaudissements ont duré plusieurs minutes.",
    "{person} met en scène avec légèreté et une belle oreille pour le silence.",
    "Le programme compte {few} créations.",
    "Les villes voisines ont prêté {n} pièces, dont beaucoup n’avaient jamais été montrées.",
    "La fondation soutient le projet à hauteur de {sum}.",
    "Les répétitions ont lieu {place}, fenêtres ouvertes en été.",
    "« J’aime mieux une salle pleine qu’une soirée parfaite », confie {person}.",
    "Une visite guidée en langage simple est proposée {day}.",
    "La plus belle salle a été restaurée {month} et sent encore le bois frais.",
    "De jeunes musiciennes et musiciens jouent {place} avant le concert principal.",
    "Le catalogue compte {n} pages et coûte moins cher qu’une place de cinéma.",
];

const SPORT: [&str; 12] = [
    "Au bout de {few} minutes, l’équipe locale menait déjà.",
    "{n} personnes ont suivi la rencontre {place} malgré la pluie.",
    "{person} s’entraîne {few} fois par semaine, le plus souvent avant le travail.",
    "« Nous savions que l’endurance ferait la différence », a déclaré {person}.",
    "Le match retour aura lieu {day}.",
    "Le club compte {n} membres, dont la moitié a moins de vingt ans.",
    "En seconde période, le rythme a baissé, mais la défense n’a plus commis d’erreur.",
    "Du matériel neuf d’une valeur de {sum} sera livré {month}.",
    "Les juniors ont montré {place} que l’on n’a pas fini d’entendre parler d’eux.",
    "{person} occupe la tête du classement avec {few} points d’avance.",
    "Les débutants sont les bienvenus {day} ; des baskets et une serviette suffisent.",
    "L’arbitre a eu peu à faire, et les deux équipes ont salué le fair-play.",
];

const BUSINESS: [&str; 12] = [
    "L’entreprise emploie {n} personnes et recherche {few} apprentis.",
    "Le chiffre d’affaires a progressé de {few} pour cent par rapport à l’année précédente.",
    "{person} a pris la direction {month}.",
    "Au total, {sum} seront investis dans une nouvelle halle et des machines plus silencieuses.",
    "« Nos clients demandent des réparations plutôt que du neuf », explique {person}.",
    "La plupart des marchandises quittent désormais la ville par le rail ou par bateau.",
    "Le magasin installé {place} ouvre {day} à huit heures.",
    "Le prix de l’énergie reste le principal souci, devant le manque de main-d’œuvre qualifiée.",
    "Une coopérative de {few} entreprises partage l’entrepôt situé {place}.",
    "La banque a accordé un prêt de {sum} sur la foi d’un plan de deux pages.",
    "{n} commandes sont arrivées dès la première semaine.",
    "{person} compte atteindre l’équilibre {month}.",
];

const GENERAL: [&str; 12] = [
    "{person} a répondu {day} aux questions du public {place}.",
    "{n} personnes sont venues {day} pour entendre ce qui est prévu.",
    "« Nous voulions quelque chose qui fonctionne encore dans dix ans », a déclaré {person}.",
    "Un premier bilan est attendu {month}, dès que les chiffres seront connus.",
    "Les plans sont affichés {place} jusqu’à nouvel ordre.",
    "Certains espéraient davantage ; d’autres s’étonnaient que cela se fasse enfin.",
    "Pour donner un coup de main, il suffit de s’inscrire {place} ; il manque encore {few} bénévoles.",
    "« Tout a commencé par une conversation autour d’un café », se souvient {person}.",
    "L’ambiance est restée cordiale, même quand la discussion devenait technique.",
    "Le prochain rendez-vous est déjà fixé : {day}, {place}.",
    "Sur les {n} réponses au sondage, près des deux tiers étaient favorables.",
    "{person} ne prévoit aucun retard, à condition que le temps se maintienne.",
];
