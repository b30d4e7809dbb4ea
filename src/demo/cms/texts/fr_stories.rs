//! The forty stories in French: headline and lead.

use super::{STORIES as COUNT, Story};

pub(super) const STORIES: [Story; COUNT] = [
    story(
        "Le conseil approuve la ligne de tram vers le port",
        "Après neuf ans d’études, la voie est libre : onze minutes de la gare au vieux port, sept arrêts et une plateforme engazonnée.",
    ),
    story(
        "Le théâtre municipal ouvre la saison avec une création",
        "La troupe commence la saison avec une pièce sur deux sœurs et une boulangerie inondée, écrite à Valbruck et située à Valbruck.",
    ),
    story(
        "Valbruck remporte la coupe régionale après prolongation",
        "Une tête à la dernière minute, un sauvetage sur la ligne et une longue nuit sur la place Saint-Martin : la coupe est de retour après trente et un ans.",
    ),
    story(
        "Le chantier naval recrute de nouveaux apprentis",
        "Deux bacs à propulsion électrique sont commandés et, pour la première fois depuis dix ans, le chantier forme de nouveau à la soudure et à l’électricité.",
    ),
    story(
        "Plus d’ombre dans la vieille ville",
        "Trois cents arbres, des voiles au-dessus des ruelles et des fontaines à boire doivent rendre supportables les étés brûlants.",
    ),
    story(
        "Le musée expose des cartes de cinq siècles",
        "Des rivières qui ont bougé, des îles qui n’ont jamais existé et une ville en désaccord sur son propre nom : le musée ouvre son cabinet de cartes.",
    ),
    story(
        "La nouvelle piscine ouvrira au printemps",
        "Huit couloirs, un bassin chaud pour apprendre à nager et la chaleur de la rivière : le nouveau bâtiment du parc de la Rive est presque terminé.",
    ),
    story(
        "Le marché reste ouvert jusqu’au soir",
        "Fromage et salade après le travail : le marché de la place Saint-Martin essaie de nouveaux horaires pour celles et ceux qui travaillent en journée.",
    ),
    story(
        "La séance du conseil : toutes les décisions en détail",
        "Du budget aux abribus : notre compte rendu de la plus longue séance de l’année, point par point, avec les arguments des deux camps.",
    ),
    story(
        "Nuit de la musique : le programme complet",
        "Quarante scènes, un seul billet, pas de voiture : qui joue où, à quelle heure et comment rentrer ensuite. Le guide complet de samedi soir.",
    ),
    story(
        "Le club d’aviron fête ses cent ans",
        "En 1926, onze personnes se partageaient un seul bateau. Le club possède aujourd’hui son garage, un quatre en ligue nationale et une liste d’attente.",
    ),
    story(
        "La brasserie passe à l’énergie solaire",
        "Le toit de l’ancienne malterie porte désormais assez de panneaux pour brasser au soleil de mars à octobre.",
    ),
    story(
        "La piste cyclable le long de la rivière est terminée",
        "Douze kilomètres sans un feu rouge : la voie des berges relie désormais le nord de la ville au port.",
    ),
    story(
        "La bibliothèque prête des instruments",
        "Des violons, des tambours et un accordéon qui a beaucoup voyagé s’empruntent maintenant comme des livres, pour quatre semaines, leçon d’accord comprise.",
    ),
    story(
        "Le marathon : résultats, récits et images",
        "Deux mille coureurs, une demande en mariage et un record que personne n’attendait : le marathon de Valbruck du premier au dernier kilomètre.",
    ),
    story(
        "La chambre de commerce fait le bilan de l’année",
        "Commandes, postes vacants, loyers et prix de l’énergie : le rapport annuel montre une économie qui change plus vite qu’elle ne croît.",
    ),
    story(
        "La rénovation de l’école en avance sur le calendrier",
        "Fenêtres neuves, classes au calme et cantine à la lumière du jour : l’école des Moulins retrouve ses murs six mois plus tôt que prévu.",
    ),
    story(
        "Le festival de cinéma invite les jeunes cinéastes",
        "Avant vingt-cinq ans, on peut proposer un film de sept minutes au plus. Seule condition : une scène doit se passer sur un pont.",
    ),
    story(
        "Les handballeuses montent en première division",
        "Grâce à une victoire de deux buts lors de la dernière journée, les handballeuses de Valbruck accèdent à l’élite pour la première fois de l’histoire du club.",
    ),
    story(
        "La librairie de la place trouve un repreneur",
        "La plus ancienne librairie de la ville reste ouverte : deux anciennes apprenties reprennent la boutique, le chat et les soirées de lecture.",
    ),
    story(
        "Budget participatif : la ville vote",
        "Quelle aire de jeux, quel banc, quel passage piéton ? Pour la troisième fois, les habitants décident eux-mêmes d’une partie du budget.",
    ),
    story(
        "La chorale municipale cherche des voix",
        "Ni audition ni cotisation, mais tous les mercredis soir : la chorale veut chanter le grand requiem en novembre et manque surtout de basses.",
    ),
    story(
        "Une salle d’escalade pour toutes les écoles",
        "L’ancienne caserne de pompiers devient une salle d’escalade. Le matin, elle appartient aux écoles ; le soir, à tout le monde.",
    ),
    story(
        "Une jeune pousse fabrique des emballages en algues",
        "Ce que la rivière rejette devient une barquette pour les fruits rouges : une jeune entreprise des Moulins a trouvé son premier grand client.",
    ),
    story(
        "Trois cents logements sur l’ancienne gare de marchandises",
        "Entre le poste d’aiguillage et l’entrepôt doit naître un quartier sans circulation de transit, dont un tiers à loyer encadré.",
    ),
    story(
        "De l’art urbain dans le passage de la gare",
        "Six artistes ont fait du tunnel gris une promenade au fond de la rivière. Le brochet est déjà le plus photographié.",
    ),
    story(
        "Un tournoi d’échecs remplit les halles",
        "Entre l’étal du poissonnier et celui du fleuriste, plus de cent joueurs en silence. Une fille de douze ans a gagné le tournoi rapide.",
    ),
    story(
        "Une boulangerie à la quatrième génération",
        "Le levain est plus vieux que toute la famille. La plus jeune des filles vient de reprendre la boulangerie au bord du bief.",
    ),
    story(
        "Une année de décisions : le bilan du conseil",
        "Les promesses tenues, les promesses reportées et ce que tout cela a coûté : la grande rétrospective d’une année au conseil municipal.",
    ),
    story(
        "L’année culturelle : une rétrospective en douze chapitres",
        "Des premières, des adieux, une statue contestée et la soirée la plus bruyante de l’histoire des halles : l’année culturelle mois par mois.",
    ),
    story(
        "La saison en chiffres",
        "Chaque club, chaque classement, chaque but : notre grand panorama de l’année sportive à Valbruck, de l’athlétisme au yoga.",
    ),
    story(
        "Le port traite plus de marchandises que jamais",
        "Céréales, bois et pales d’éoliennes : le port fluvial annonce sa meilleure année depuis le début des relevés, avec deux fois moins de camions.",
    ),
    story(
        "La mairie ouvre ses guichets le samedi",
        "Passeports, inscriptions et permis de pêche : à partir du mois prochain, les guichets ouvrent le samedi matin, et sans rendez-vous.",
    ),
    story(
        "Le théâtre de marionnettes a cinquante ans",
        "Le loup en est à son quatrième manteau, la grand-mère à sa deuxième tête : visite dans les coulisses de la plus petite scène de la ville.",
    ),
    story(
        "La course cycliste traverse la ville",
        "La troisième étape passe par le vieux pont et grimpe trois fois la colline aux vignes. Ce que visiteurs et riverains doivent savoir.",
    ),
    story(
        "Les hôtels annoncent un été record",
        "Plus de voyageurs en train, des séjours plus longs et une excursion favorite inattendue : l’été dans les chiffres de l’office de tourisme.",
    ),
    story(
        "La protection contre les crues achevée après six ans",
        "Le dernier mur est debout, et il se replie : par temps sec, la nouvelle protection est une promenade avec vue sur la rivière.",
    ),
    story(
        "Des poèmes dans le bus",
        "À la place des publicités, les passagers de la ligne quatre lisent ce mois-ci des poèmes d’élèves, de retraités et d’un conducteur de bus.",
    ),
    story(
        "La journée sportive des jeunes bat un record",
        "Jamais autant d’enfants n’avaient participé à la journée sportive. L’épreuve préférée n’était ni la course ni le saut.",
    ),
    story(
        "Le salon de l’artisanat montre son savoir-faire",
        "Du toit d’ardoise au four à levain : pendant trois jours, les ateliers montrent leur savoir-faire aux halles, et le public peut s’y essayer.",
    ),
];

const fn story(title: &'static str, summary: &'static str) -> Story {
    Story { title, summary }
}
