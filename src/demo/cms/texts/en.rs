//! The English sentences of the demo's newsroom.

use super::{Texts, en_stories::STORIES};

pub(super) const TEXTS: Texts = Texts {
    name: "English",
    sections: ["Town council", "Culture", "Sport", "Business"],
    stories: &STORIES,
    created: [
        "News from the town hall, written down by our newsroom shortly after the meeting.",
        "What is on in Valbruck’s halls, museums and cellars, gathered by our culture desk.",
        "From the pitches, halls and riverbanks: our sports desk reports.",
        "From workshops, shops and offices in and around Valbruck.",
    ],
    sentences: [COUNCIL, CULTURE, SPORT, BUSINESS, GENERAL],
    places: [
        "at the town hall",
        "at the old harbour",
        "in the Mill Quarter",
        "in the market hall",
        "in the Riverside Park",
        "at the railway station",
        "in the north of the town",
        "on Saint Martin’s Square",
    ],
    days: [
        "on Monday",
        "on Tuesday",
        "on Wednesday",
        "on Thursday",
        "on Friday",
        "on Saturday",
        "on Sunday",
    ],
    months: [
        "in February",
        "in March",
        "in May",
        "in June",
        "in September",
        "in November",
    ],
    digit_separator: ',',
    euros: "euros",
    all_articles: "All articles",
    version: "Version",
    no_article: "There is no article {id} in English.",
};

const COUNCIL: [&str; 12] = [
    "The motion passed with only {few} votes against.",
    "The work will cost {sum}, of which the region pays half.",
    "Construction is due to begin {month} and will be carried out in {few} stages.",
    "{person} reminded the committee that the old plan dates from another century.",
    "Residents had collected {n} signatures {place}.",
    "The administration will report on progress every {few} weeks.",
    "For {few} weeks there will be a diversion {place}; buses stop on the other side of the street.",
    "“Nobody should have to take the car to get to school,” said {person}.",
    "An opposition request to postpone the vote was rejected.",
    "In addition, {n} new street lamps will use a third of the electricity of the old ones.",
    "The mayor thanked {person} for {few} years of patient preparation.",
    "The remaining {sum} will go into a reserve for the coming winter.",
];

const CULTURE: [&str; 12] = [
    "Tickets are on sale {place}; under-eighteens get in free.",
    "{n} visitors saw the preview {day}, and the applause lasted for minutes.",
    "{person} directs with a light touch and a good ear for silence.",
    "The programme includes {few} first performances.",
    "Neighbouring towns have lent {n} pieces, many of them never shown before.",
    "The foundation supports the project with {sum}.",
    "Rehearsals take place {place}, with the windows open in summer.",
    "“I would rather have a full house than a perfect evening,” said {person}.",
    "A guided tour in plain language is offered {day}.",
    "The finest room was restored {month} and still smells of fresh wood.",
    "Young musicians play {place} before the main concert.",
    "The catalogue has {n} pages and costs less than a cinema ticket.",
];

const SPORT: [&str; 12] = [
    "After {few} minutes the home side was already ahead.",
    "{n} spectators followed the match {place} despite the rain.",
    "{person} trains {few} times a week, usually before work.",
    "“We knew that stamina would decide it,” said {person}.",
    "The return match takes place {day}.",
    "The club has {n} members, half of them under twenty.",
    "In the second half the pace dropped, but the defence made no more mistakes.",
    "New equipment worth {sum} will be delivered {month}.",
    "The juniors showed {place} that more will be heard of them.",
    "{person} leads the table by {few} points.",
    "Newcomers are welcome {day}; trainers and a towel are enough.",
    "The referee had little to do, and both teams praised the fair play.",
];

const BUSINESS: [&str; 12] = [
    "The company employs {n} people and is looking for {few} apprentices.",
    "Turnover rose by {few} per cent compared with the previous year.",
    "{person} took over the management {month}.",
    "A total of {sum} will be invested in a new hall and quieter machines.",
    "“Our customers ask for repairs rather than for new things,” said {person}.",
    "Most of the goods now leave the town by rail or by ship.",
    "The shop {place} opens {day} at eight o’clock.",
    "Energy prices remain the greatest worry, ahead of the shortage of skilled workers.",
    "A cooperative of {few} firms shares the warehouse {place}.",
    "The bank granted a loan of {sum} on the strength of a two-page plan.",
    "{n} orders came in within the first week.",
    "{person} expects the business to break even {month}.",
];

const GENERAL: [&str; 12] = [
    "{person} answered residents’ questions {place} {day}.",
    "{n} people came {day} to hear what is planned.",
    "“We wanted something that will still work in ten years,” said {person}.",
    "A first review is due {month}, once the figures are in.",
    "The plans are on display {place} until further notice.",
    "Some had hoped for more; others were surprised that it happened at all.",
    "Anyone who wants to help can sign up {place}; {few} volunteers are still needed.",
    "“It began with a conversation over coffee,” {person} recalls.",
    "The mood stayed friendly, even when the discussion became technical.",
    "The next date has already been set: {day}, {place}.",
    "Of the {n} replies to the survey, almost two thirds were in favour.",
    "{person} does not expect any delay, provided the weather holds.",
];
