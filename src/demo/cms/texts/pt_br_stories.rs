//! The forty stories in Brazilian Portuguese: headline and lead.

use super::{STORIES as COUNT, Story};

pub(super) const STORIES: [Story; COUNT] = [
    story(
        "Câmara aprova linha de bonde até o porto",
        "Depois de nove anos de planejamento, o caminho está livre: onze minutos da estação ao porto antigo, com sete paradas e trilhos sobre a grama.",
    ),
    story(
        "Teatro municipal abre a temporada com peça inédita",
        "O elenco começa a temporada com uma peça sobre duas irmãs e uma padaria alagada, escrita em Valbruck e ambientada em Valbruck.",
    ),
    story(
        "Valbruck conquista a copa regional na prorrogação",
        "Um cabeceio no último minuto, uma defesa em cima da linha e uma longa noite na praça São Martinho: a taça está de volta depois de trinta e um anos.",
    ),
    story(
        "Estaleiro contrata novos aprendizes",
        "Duas balsas de propulsão elétrica foram encomendadas e, pela primeira vez em dez anos, o estaleiro volta a formar soldadores e eletricistas.",
    ),
    story(
        "Mais sombra para o centro histórico",
        "Trezentas árvores, toldos sobre as ruas estreitas e bebedouros devem tornar suportáveis os verões quentes no centro histórico.",
    ),
    story(
        "Museu mostra mapas de cinco séculos",
        "Rios que mudaram de lugar, ilhas que nunca existiram e uma cidade que não se decidia sobre o próprio nome: o museu abre a sua sala de mapas.",
    ),
    story(
        "Nova piscina abre na primavera",
        "Oito raias, um tanque aquecido para aprender a nadar e calor vindo do rio: o novo prédio do parque da Ribeira está quase pronto.",
    ),
    story(
        "Feira semanal fica aberta até a noite",
        "Quem trabalha durante o dia já pode comprar queijo e alface depois do expediente: a feira da praça São Martinho testa um novo horário.",
    ),
    story(
        "A sessão da câmara: todas as decisões na íntegra",
        "Do orçamento aos pontos de ônibus: o nosso registro da sessão mais longa do ano, item por item, com os argumentos dos dois lados.",
    ),
    story(
        "Noite da música: a programação completa",
        "Quarenta palcos, um ingresso, nenhum carro: o que toca, onde, a que horas e como voltar para casa depois. O guia completo da noite de sábado.",
    ),
    story(
        "Clube de remo festeja cem anos",
        "Em 1926, onze pessoas dividiam um único barco. Hoje o clube tem garagem própria, um barco de quatro na liga nacional e uma lista de espera.",
    ),
    story(
        "Cervejaria adota energia solar",
        "O telhado da antiga maltaria já tem painéis suficientes para produzir cerveja com a luz do sol de março a outubro.",
    ),
    story(
        "Ciclovia à beira do rio está pronta",
        "Doze quilômetros sem um semáforo: o caminho da margem agora liga a zona norte ao porto.",
    ),
    story(
        "Biblioteca empresta instrumentos",
        "Violinos, tambores e um acordeão muito viajado agora podem ser emprestados como livros, por quatro semanas e com uma aula de afinação.",
    ),
    story(
        "A maratona: resultados, histórias e imagens",
        "Dois mil corredores, um pedido de casamento e um recorde que ninguém esperava: a maratona de Valbruck do primeiro ao último quilômetro.",
    ),
    story(
        "Câmara de comércio faz o balanço do ano",
        "Encomendas, vagas, aluguéis e preço da energia: o relatório anual mostra uma economia que muda mais depressa do que cresce.",
    ),
    story(
        "Reforma da escola está adiantada",
        "Janelas novas, salas silenciosas e um refeitório com luz natural: a Escola dos Moinhos volta para casa um semestre antes do previsto.",
    ),
    story(
        "Festival de cinema convida jovens cineastas",
        "Quem tem menos de vinte e cinco anos pode inscrever um filme de até sete minutos. Única condição: uma cena precisa se passar em uma ponte.",
    ),
    story(
        "Time feminino de handebol sobe para a primeira divisão",
        "Com uma vitória por dois gols na última rodada, o time feminino de Valbruck chega à elite pela primeira vez na história do clube.",
    ),
    story(
        "Livraria da praça encontra sucessoras",
        "A livraria mais antiga da cidade continua aberta: duas ex-aprendizes assumem a loja, o gato e as noites de leitura.",
    ),
    story(
        "Orçamento participativo: a cidade vota",
        "Qual parquinho, qual banco, qual faixa de pedestres? Pela terceira vez, os moradores decidem sobre uma parte do orçamento.",
    ),
    story(
        "Coral da cidade procura vozes",
        "Sem teste, sem mensalidade, mas toda quarta-feira à noite: o coral quer cantar o grande réquiem em novembro e precisa sobretudo de baixos.",
    ),
    story(
        "Um ginásio de escalada para todas as escolas",
        "O antigo quartel dos bombeiros vira ginásio de escalada. De manhã ele é das escolas; à noite, de todo mundo.",
    ),
    story(
        "Startup faz embalagens de algas",
        "O que o rio traz à margem vira bandeja para frutas vermelhas: uma jovem empresa dos Moinhos conquistou o primeiro grande cliente.",
    ),
    story(
        "Trezentos apartamentos no antigo pátio ferroviário",
        "Entre a cabine de sinais e o armazém deve nascer um bairro sem trânsito de passagem, um terço dele com aluguel controlado.",
    ),
    story(
        "Arte urbana na passagem da estação",
        "Seis artistas transformaram o túnel cinza em um passeio pelo fundo do rio. O lúcio já é o mais fotografado.",
    ),
    story(
        "Torneio de xadrez lota o mercado municipal",
        "Entre a banca de peixes e a de flores, mais de cem pessoas jogaram em silêncio. Uma menina de doze anos venceu o torneio rápido.",
    ),
    story(
        "Padaria na quarta geração",
        "O fermento natural é mais velho que todos na família. Agora a filha mais nova assumiu a padaria à beira do canal.",
    ),
    story(
        "Um ano de decisões: o que a câmara conseguiu",
        "Que promessas foram cumpridas, quais foram adiadas e quanto custou tudo: a grande retrospectiva de um ano na câmara municipal.",
    ),
    story(
        "O ano da cultura: uma retrospectiva em doze capítulos",
        "Estreias, despedidas, uma estátua polêmica e a noite mais barulhenta da história do mercado: o ano cultural mês a mês.",
    ),
    story(
        "A temporada em números",
        "Cada clube, cada tabela, cada gol: o nosso grande panorama do ano esportivo em Valbruck, do atletismo ao ioga.",
    ),
    story(
        "Porto movimenta mais carga do que nunca",
        "Grãos, madeira e pás de turbinas eólicas: o porto fluvial registra o melhor ano desde o início da série, com metade dos caminhões.",
    ),
    story(
        "Atendimento da prefeitura abre aos sábados",
        "Passaportes, cadastros e licenças de pesca: a partir do mês que vem, o atendimento abre nas manhãs de sábado, e sem hora marcada.",
    ),
    story(
        "Teatro de bonecos faz cinquenta anos",
        "O lobo está no quarto casaco, a avó na segunda cabeça: uma visita aos bastidores do menor palco da cidade.",
    ),
    story(
        "Corrida de bicicleta passa pela cidade",
        "A terceira etapa cruza a ponte velha e sobe três vezes a colina dos vinhedos. O que visitantes e moradores precisam saber.",
    ),
    story(
        "Hotéis registram verão recorde",
        "Mais hóspedes de trem, estadias mais longas e um passeio favorito inesperado: o verão nos números da secretaria de turismo.",
    ),
    story(
        "Proteção contra cheias fica pronta após seis anos",
        "O último muro está de pé, e ele dobra: nos dias secos, a nova proteção é um calçadão com vista para o rio.",
    ),
    story(
        "Poemas no ônibus",
        "No lugar de anúncios, os passageiros da linha quatro leem neste mês poemas de estudantes, de aposentados e de um motorista.",
    ),
    story(
        "Dia do esporte jovem bate recorde",
        "Nunca tantas crianças participaram do dia do esporte. A prova preferida não foi nem a corrida nem o salto.",
    ),
    story(
        "Feira mostra o que os artesãos sabem fazer",
        "Do telhado de ardósia ao forno de fermentação natural: durante três dias as oficinas mostram o que sabem no mercado municipal, e o público pode participar.",
    ),
];

const fn story(title: &'static str, summary: &'static str) -> Story {
    Story { title, summary }
}
