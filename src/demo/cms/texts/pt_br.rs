//! The Brazilian Portuguese sentences of the demo's newsroom.

use super::{Texts, pt_br_stories::STORIES};

pub(super) const TEXTS: Texts = Texts {
    name: "Português",
    sections: ["Câmara Municipal", "Cultura", "Esporte", "Economia"],
    stories: &STORIES,
    created: [
        "Notícias da prefeitura, anotadas pela nossa redação logo após a sessão.",
        "O que acontece nos teatros, museus e porões de Valbruck, reunido pela editoria de cultura.",
        "Dos campos, ginásios e margens do rio: a nossa editoria de esporte informa.",
        "Das oficinas, lojas e escritórios de Valbruck e região.",
    ],
    sentences: [COUNCIL, CULTURE, SPORT, BUSINESS, GENERAL],
    places: [
        "na prefeitura",
        "no porto antigo",
        "no bairro dos Moinhos",
        "no mercado municipal",
        "no parque da Ribeira",
        "na estação de trem",
        "na zona norte da cidade",
        "na praça São Martinho",
    ],
    days: [
        "na segunda-feira",
        "na terça-feira",
        "na quarta-feira",
        "na quinta-feira",
        "na sexta-feira",
        "no sábado",
        "no domingo",
    ],
    months: [
        "em fevereiro",
        "em março",
        "em maio",
        "em junho",
        "em setembro",
        "em novembro",
    ],
    digit_separator: '.',
    euros: "euros",
    all_articles: "Todos os artigos",
    version: "Versão",
    no_article: "O artigo {id} não existe em português.",
};

const COUNCIL: [&str; 12] = [
    "A moção foi aprovada com apenas {few} votos contrários.",
    "As obras vão custar {sum}, metade por conta da região.",
    "A construção deve começar {month} e será executada em {few} etapas.",
    "{person} lembrou à comissão que o plano antigo é de outro século.",
    "Moradores haviam reunido {n} assinaturas {place}.",
    "A administração vai prestar contas do andamento a cada {few} semanas.",
    "Durante {few} semanas haverá um desvio {place}; os ônibus param do outro lado da rua.",
    "“Ninguém deveria precisar de carro para chegar à escola”, disse {person}.",
    "Um pedido da oposição para adiar a votação foi rejeitado.",
    "Além disso, {n} novas luminárias vão gastar um terço da energia das antigas.",
    "A prefeitura agradeceu a {person} por {few} anos de preparação paciente.",
    "Os {sum} restantes vão para uma reserva destinada ao próximo inverno.",
];

const CULTURE: [&str; 12] = [
    "Os ingressos estão à venda {place}; menores de dezoito anos não pagam.",
    "{n} pessoas viram a pré-estreia {day}, e os aplausos duraram vários minutos.",
    "{person} dirige com leveza e um bom ouvido para o silêncio.",
    "A programação inclui {few} estreias.",
    "Cidades vizinhas emprestaram {n} peças, muitas delas nunca expostas antes.",
    "A fundação apoia o projeto com {sum}.",
    "Os ensaios acontecem {place}, com as janelas abertas no verão.",
    "“Prefiro uma casa cheia a uma noite perfeita”, disse {person}.",
    "Uma visita guiada em linguagem simples será oferecida {day}.",
    "A sala mais bonita foi restaurada {month} e ainda cheira a madeira nova.",
    "Jovens músicos tocam {place} antes do concerto principal.",
    "O catálogo tem {n} páginas e custa menos que uma entrada de cinema.",
];

const SPORT: [&str; 12] = [
    "Depois de {few} minutos, o time da casa já estava na frente.",
    "{n} pessoas acompanharam o jogo {place}, apesar da chuva.",
    "{person} treina {few} vezes por semana, quase sempre antes do trabalho.",
    "“Sabíamos que o fôlego faria a diferença”, disse {person}.",
    "O jogo de volta será disputado {day}.",
    "O clube tem {n} sócios, metade deles com menos de vinte anos.",
    "No segundo tempo o ritmo caiu, mas a defesa não errou mais.",
    "Equipamentos novos no valor de {sum} serão entregues {month}.",
    "As equipes de base mostraram {place} que ainda vão dar o que falar.",
    "{person} lidera a tabela com {few} pontos de vantagem.",
    "Iniciantes são bem-vindos {day}; bastam um par de tênis e uma toalha.",
    "A arbitragem teve pouco trabalho, e os dois times elogiaram o jogo limpo.",
];

const BUSINESS: [&str; 12] = [
    "A empresa emprega {n} pessoas e procura {few} aprendizes.",
    "O faturamento subiu {few} por cento em relação ao ano anterior.",
    "{person} assumiu a direção {month}.",
    "Ao todo, {sum} serão investidos em um novo galpão e em máquinas mais silenciosas.",
    "“Nossos clientes pedem mais consertos do que produtos novos”, disse {person}.",
    "A maior parte das mercadorias já sai da cidade por trem ou navio.",
    "A loja {place} abre {day} às oito horas.",
    "O preço da energia continua sendo a maior preocupação, à frente da falta de mão de obra qualificada.",
    "Uma cooperativa de {few} empresas divide o depósito {place}.",
    "O banco concedeu um empréstimo de {sum} com base em um plano de duas páginas.",
    "{n} pedidos chegaram já na primeira semana.",
    "{person} espera chegar ao equilíbrio financeiro {month}.",
];

const GENERAL: [&str; 12] = [
    "{person} respondeu a perguntas dos moradores {place} {day}.",
    "{n} pessoas vieram {day} para ouvir o que está planejado.",
    "“Queríamos algo que ainda funcionasse daqui a dez anos”, disse {person}.",
    "Um primeiro balanço está previsto {month}, assim que os números saírem.",
    "Os planos estão expostos {place} por tempo indeterminado.",
    "Alguns esperavam mais; outros se surpreenderam por ter acontecido.",
    "Quem quiser ajudar pode se inscrever {place}; ainda faltam {few} voluntários.",
    "“Tudo começou com uma conversa durante um café”, lembra {person}.",
    "O clima continuou cordial, mesmo quando a discussão ficou técnica.",
    "O próximo encontro já está marcado: {day}, {place}.",
    "Das {n} respostas à pesquisa, quase dois terços foram favoráveis.",
    "{person} não espera atrasos, desde que o tempo continue firme.",
];
