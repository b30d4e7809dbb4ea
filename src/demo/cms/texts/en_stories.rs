//! The forty stories in English: headline and lead.

use super::{STORIES as COUNT, Story};

pub(super) const STORIES: [Story; COUNT] = [
    story(
        "Council approves tram line to the harbour",
        "After nine years of planning the way is clear: from the station to the old harbour in eleven minutes, with seven stops and a green track bed.",
    ),
    story(
        "City theatre opens the season with a new play",
        "The ensemble begins the season with a play about two sisters and a flooded bakery, written in Valbruck and set in Valbruck.",
    ),
    story(
        "Valbruck wins the regional cup after extra time",
        "A header in the last minute, a save on the line and a long night on Saint Martin’s Square: the cup is back after thirty-one years.",
    ),
    story(
        "Shipyard takes on new apprentices",
        "Two ferries with electric drive have been ordered, and for the first time in a decade the shipyard is training welders and electricians again.",
    ),
    story(
        "More shade for the old town",
        "Three hundred trees, awnings over the narrow lanes and drinking fountains are to make hot summers bearable in the old town.",
    ),
    story(
        "Museum shows maps from five centuries",
        "Rivers that moved, islands that never existed and a town that could not agree on its own name: the museum opens its map cabinet.",
    ),
    story(
        "New swimming pool will open in spring",
        "Eight lanes, a warm pool for beginners and heat from the river: the new building at the Riverside Park is nearly finished.",
    ),
    story(
        "Weekly market stays open until the evening",
        "Those who work during the day can now buy cheese and lettuce after work: the market on Saint Martin’s Square tries new hours.",
    ),
    story(
        "The council session: all decisions in full",
        "From the budget to the bus shelters: our record of the longest session of the year, item by item, with the arguments of both sides.",
    ),
    story(
        "Night of music: the complete programme",
        "Forty stages, one ticket, no car: what plays where, when it starts and how you get home afterwards. The complete guide to Saturday night.",
    ),
    story(
        "Rowing club celebrates its hundredth birthday",
        "In 1926 eleven people shared a single boat. Today the club has its own boathouse, a quad in the national league and a waiting list.",
    ),
    story(
        "Brewery switches to solar power",
        "The roof of the old malt house now carries enough panels to brew with sunlight from March to October.",
    ),
    story(
        "Cycle path along the river is finished",
        "Twelve kilometres without a traffic light: the riverside path now links the northern district with the harbour.",
    ),
    story(
        "Library lends out instruments",
        "Violins, drums and a well-travelled accordion can now be borrowed like books, for four weeks at a time and with a tuning lesson.",
    ),
    story(
        "The marathon: results, stories and pictures",
        "Two thousand runners, one wedding proposal and a record that nobody expected: the Valbruck marathon from the first kilometre to the last.",
    ),
    story(
        "The chamber of commerce looks back on the year",
        "Orders, vacancies, rents and energy prices: the annual report of the chamber shows an economy that is changing faster than it is growing.",
    ),
    story(
        "School renovation ahead of schedule",
        "New windows, quiet classrooms and a canteen with daylight: the pupils of the Mill School are moving back a term early.",
    ),
    story(
        "Film festival invites young directors",
        "Anyone under twenty-five can submit a film of at most seven minutes. The only condition: one scene must take place on a bridge.",
    ),
    story(
        "Handball women promoted to the first division",
        "With a two-goal win on the final day the Valbruck handball women have made it to the top, for the first time in the club’s history.",
    ),
    story(
        "Bookshop on the square finds a successor",
        "The oldest bookshop in the town stays open: two former apprentices are taking over the shop, the cat and the reading evenings.",
    ),
    story(
        "Residents decide on their own budget",
        "Which playground, which bench, which crossing? For the third time the residents vote on how part of the budget is spent.",
    ),
    story(
        "The town choir is looking for voices",
        "No audition, no fee, but every Wednesday evening: the choir wants to sing the great requiem in November and needs basses above all.",
    ),
    story(
        "A climbing hall for all schools",
        "The former fire station becomes a climbing hall. In the mornings it belongs to the schools, in the evenings to everyone else.",
    ),
    story(
        "Start-up makes packaging from algae",
        "What the river washes ashore becomes a box for berries: a young company from the Mill Quarter has found its first large customer.",
    ),
    story(
        "Three hundred flats on the old goods yard",
        "Between the signal box and the warehouse a quarter without through traffic is to grow, a third of it at controlled rents.",
    ),
    story(
        "Street art in the station underpass",
        "Six artists have turned the grey tunnel into a walk along the bottom of the river. The pike is already the most photographed.",
    ),
    story(
        "Chess tournament fills the market hall",
        "Between fish counter and flower stall more than a hundred players sat in silence. A twelve-year-old won the rapid tournament.",
    ),
    story(
        "Bakery in its fourth generation",
        "The sourdough is older than anyone in the family. Now the youngest daughter has taken over the bakery on the mill stream.",
    ),
    story(
        "A year of decisions: what the council has achieved",
        "Which promises were kept, which were postponed and what it all cost: the great review of a year in the town council.",
    ),
    story(
        "The year in culture: a review in twelve chapters",
        "Premieres, farewells, a disputed statue and the loudest evening in the history of the market hall: the cultural year month by month.",
    ),
    story(
        "The season in figures",
        "Every club, every table, every scorer: our large overview of the sporting year in Valbruck, from athletics to yoga.",
    ),
    story(
        "Harbour handles more goods than ever",
        "Grain, timber and wind turbine blades: the inland harbour reports the best year since records began, with half as many lorries.",
    ),
    story(
        "Citizens’ office opens on Saturdays",
        "Passports, registrations and fishing permits: from next month the office opens on Saturday mornings, and without an appointment.",
    ),
    story(
        "Puppet theatre turns fifty",
        "The wolf is on his fourth coat, the grandmother on her second head: a visit behind the smallest stage in town.",
    ),
    story(
        "Cycling race comes through the town",
        "The third stage leads over the old bridge and three times up the vineyard hill. What visitors and residents should know.",
    ),
    story(
        "Hotels report a record summer",
        "More guests by train, longer stays and a surprising favourite among the excursions: the summer in the figures of the tourist office.",
    ),
    story(
        "Flood protection completed after six years",
        "The last wall stands, and it folds away: on dry days the new flood protection is a promenade with a view of the river.",
    ),
    story(
        "Poems on the bus",
        "Instead of advertisements the passengers of line four read poems this month, written by pupils, pensioners and one bus driver.",
    ),
    story(
        "Youth sports day sets a record",
        "More children than ever took part in the sports day. The most popular discipline was neither running nor jumping.",
    ),
    story(
        "Trade fair shows what craftspeople can do",
        "From slate roofs to sourdough ovens: for three days the workshops show their skills in the market hall, and visitors may join in.",
    ),
];

const fn story(title: &'static str, summary: &'static str) -> Story {
    Story { title, summary }
}
