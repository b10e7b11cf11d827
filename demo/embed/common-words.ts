/**
 * The content words that English texts on any subject use most, in groups by how often: the built-in embedder's
 * only knowledge of which words tell texts apart. Base forms; inflections meet them through the stemmer.
 *
 * The groups are a judgement, not a count, and need be no more: a word off by one group changes its weight by a third.
 */

/** Roughly the first two hundred: found in every tenth text. */
const EVERYWHERE = `
able act add again age ago allow answer appear area ask back bad base become begin believe best better big book bring
build call care carry case cause centre certain change child city clear close come common complete consider contain
continue country course create cut day deal decide different do drive early easy effect end enough enter even event
example expect explain eye face fact fall family far father fear feel few figure fill final find first follow food
form found free friend full general give good great group grow half hand happen hard head hear help high hold home
hope hour house human idea important include increase interest issue job keep kind know land large last late lead
learn leave left level life light like line list little live local long look lose lot love low main make man mark
matter mean measure meet method mind moment money month morning mother move name near need new next night note number
offer office old open order own page part pass pay people person place plan play point possible power present problem
produce product provide public put question quick read ready real reason receive remain remember report require rest
result return right room rule run same say school second see seem sense serve service set several short show side sign
simple sit small sound speak special stand start state stay step stop story strong study subject sure system take
talk tell term test text thing think time today together top total try turn two type understand use usual value view
voice want water way week white word work world write wrong year young one three four five six
`;

/** The next five hundred or so: found in every thirtieth. */
const FREQUENT = `
accept access accord account achieve across action active actual address admit adult advance advantage advice affect
afternoon agree air alone amount analysis animal apart apply approach argue arm army arrange arrive art article aspect
assume attack attempt attention author available average avoid aware baby balance ball bank bar basic battle bear beat
beautiful bed behaviour benefit beside beyond bit black blood blow blue board body bone born bottom box boy branch
break breath bridge brief bright broad brother brown burn business busy buy capital car card catch cell century chair
chance chapter character charge check choice choose church circle claim class clean climb clock clothe club coast cold
collect college colour combine comfort command comment community company compare concern condition conduct connect
consist contact context control cook cool copy corner correct cost count couple court cover critic cross crowd culture
cup current custom daily damage dance danger dark data date daughter dead death debate decade deep defence define
degree deliver demand depend describe design desire destroy detail determine develop die difference difficult dinner
direct discover discuss disease distance divide doctor document dog door double doubt draw dream dress drink drop dry
due duty earth east eat economy edge education effective effort egg eight element else employ empty energy engine enjoy
environment equal error escape especial establish evening evidence exact exam exchange excite exercise exist
experience express extend extra extreme factor fail fair faith false famous farm fast fat favour feature field fight
file fine finger finish fire firm fish fit fix flat floor flow flower fly focus foot force foreign forest forget
formal former forward frame fresh front function further future gain game garden gas gate gather gentle girl glass
goal god gold govern green ground guess guide hair hall hang happy hat health heart heat heavy hide hill history hit
hole holiday horse hospital hot hotel huge husband ice identify ill image imagine impact improve independent indicate
individual industry influence inform information inside instead introduce invest involve iron island item join judge
jump key kill king kitchen knock knowledge lack lady language laugh law lay leader leaf leg length letter library lie
lift limit link lip listen literature load lock lord loss loud machine maintain major manage map market marry mass
master match material maximum meal meat media medical member memory mention message metal middle mile milk million
minute miss mistake mix model modern mountain mouth music narrow nation nature neck neighbour network nice nine noise
normal north nose notice novel object observe obtain obvious occasion occur ocean official oil operate opinion
opportunity oppose option organize origin original outside pain paint pair paper parent park particular partner party
past path pattern peace perfect perform period permit phone photo phrase physical piece plain plant plate pleasure
pocket police policy political poor popular population position positive pour practice prefer prepare press pressure
prevent previous price prince principle print prior private probable proceed process professional program progress
project promise proper property propose protect prove pull purpose push quality quarter queen quiet race radio rain
raise range rate rather reach react realize receive recent recognize record red reduce refer reflect refuse regard
region regular relate relation release religion remove repeat replace represent research resource respect respond
responsible restaurant rich ride ring rise risk river road rock role roll roof rough round row safe sale salt sample
save scale scene science score sea search season seat secret section secure select sell send separate series serious
settle seven sex shake shape share sharp sheet ship shoe shoot shop shoulder shout shut sick sight similar single
sister site situation size skill skin sky sleep slight slow smile smoke smooth snow social society soft soil soldier
solid solution solve son song sort soul source south space speech speed spend spirit split sport spread spring square
staff stage standard star station steal stick stone store storm strange stream street strength stress structure
student style succeed success sudden suffer sugar suggest suit summer sun supply support suppose surface surprise
surround survive sweet swim table tall tax tea teach team tear technique technology temperature ten tend theory thick
thin third thousand threat throw thus tie title tone tool touch tour toward town track trade tradition traffic train
travel treat tree trip trouble true trust truth unit university update upper various vary vast version very village
visit vote wait walk wall war warm wash waste watch wave weak wear weather weight welcome west wet wheel whole wide
wife wild win wind window wine winter wish woman wonder wood worry worth yard yellow yesterday youth zero
`;

/** The next eight hundred or so: found in every hundredth. */
const FAMILIAR = `
abandon absence absolute absorb abstract abuse academic accident accompany accurate accuse acid acquire adapt adequate
adjust administration admire adopt advertise affair afford afraid agency agent aggressive agriculture aid aim aircraft
airport alarm album alcohol alive alter alternative amaze ambition ancient angle anger angry announce annual anxious
apartment apparent appeal apple appoint appreciate appropriate approve approximate arise array arrest arrow artificial
artist ashamed aside asleep assess asset assign assist associate assure atmosphere atom attach attend attitude attract
audience authority automatic autumn award awful background bake band barrier basis basket bath battery bay beach bean
beard beauty beer behalf belief bell belong belt bench bend bet bible bill bind bird birth bite bitter blade blame
blank blind block boat boil bold bomb bond border boss bother bottle bound bow bowl brain brave bread breakfast breast
breed brick brilliant broadcast brush bubble budget bunch burden bus bush butter button cable cake calculate calm camera
camp campaign cancel cancer candidate cap capable capacity captain capture carbon career careful carpet castle cat
category cattle ceiling celebrate central ceremony chain challenge champion channel chart chase cheap cheese chemical
chest chicken chief chip chocolate cigarette cinema citizen civil classic classify client climate cloth cloud coach
coal coat code coffee coin collapse collar colleague colony column commerce commission commit committee communicate
compete complain complex component compose compound comprehensive comprise compute concentrate concept concert conclude
concrete conference confidence confirm conflict confuse congress conscious consequence conservative considerable
constant constitute construct consult consume content contest contract contrast contribute convention conversation
convert convince cooperate copper core corn corporate correspond council counter county courage cousin cow crack craft
crash crazy cream creature credit crew crime crisis criterion crop crucial cruel cry cultural curious curtain curve
customer cycle debt decision declare decline decorate decrease defeat defend deficit definite delay delicate delight
demonstrate density deny depart department deposit depress depth derive desert deserve desk desperate despite detect
device devote diet dig digital dirt disappear disappoint disaster discipline discount dish display dispute distinct
distribute district disturb diverse divorce domestic dominate dose dozen draft drama drawer drift drug drum duck dust
dynamic eager ear earn ease eastern economic edit educate efficient elderly elect electric eleven embarrass emerge
emotion emphasis empire enable encounter encourage enemy engage engineer enormous ensure enterprise entertain
enthusiasm entire entitle entry episode equipment essay essential estate estimate ethnic evaluate eventual everyday
evil evolution evolve examine exceed excellent except exception excess exclude execute executive exhibit expand expense
expert explode explore export expose extent external extract fabric factory faculty fade fan fancy fantasy fashion
fault feather federal fee feed fellow female fence festival fever fiction fierce finance fist flag flame flash flavour
flesh flight float flood flour fluid fold folk fool forever forgive fork formula fortune foundation fraction fragment
framework freedom freeze frequency frequent friendly fruit fuel fund fundamental funny furniture gap gender gene
generate generation generous genetic gentleman genuine ghost giant gift glance global glory goat golden grade gradual
grain grand grandfather grandmother grant grass grave grey grip gross guarantee guard guest guilty guitar gun guy habit
hammer handle harbour harm harvest hate heaven height hell hero hesitate hire honest honour hook horizon horror host
household humour hundred hunger hungry hunt hurry hurt hypothesis ideal identity ignore illegal illness illustrate
immediate immigrant impact implement imply import impose impossible impress incident income incorporate indeed index
infant infection inflation initial injure inner innocent input inquiry insect insert insist inspect inspire install
instance instant instinct institute institution instruct instrument insurance integrate intelligent intend intense
intention interact interior internal international internet interpret interval interview introduction invade invent
investigate invite isolate jacket jail jaw jealous joint joke journal journalist journey joy juice junior jury justice
justify keen kid kick kingdom kiss knee knife labour lake lamp landscape lane laser launch lawyer lazy league lean leap
leather lecture legal legend leisure lemon lend lesson liberal liberty licence lid lighten liquid literary loan locate
logic lonely loose lorry luck lunch lung magazine magic mail majority male mankind manner manual manufacture margin
marriage mask massive mate mathematics mayor mechanism medicine medium mental merchant mere mess middle military mine
mineral minimum minister minor minority mirror mission mode moderate modify module moist monitor monkey monster mood
moon moral mortgage motion motive motor mouse mud multiple murder muscle museum mystery myth nail naked native negative
negotiate nerve nervous nest neutral newspaper nod none northern notion numerous nurse nut obey objective obligation
observer obstacle occupy odd offence onion online opera opponent orange orchestra ordinary organ organic outcome output
outer oven overall overcome owe oxygen pace pack package palace pale palm pan panel panic parallel pardon parliament
partial participate particle passage passenger passion patch patience patient pause peak peer pen pencil pension pepper
percent perceive perception permanent personal personality perspective persuade pet phase phenomenon philosophy
physics piano pick picture pig pile pill pilot pin pink pipe pitch planet plastic platform pleasant plenty plot plus
poem poet poetry poison pole polite pollution pool portion portrait possess post pot potato potential pound poverty
powder practical praise pray precise predict pregnant presence preserve president pretend pretty pride priest primary
prime primitive prison prize procedure profession professor profile profit prominent proof proportion prospect proud
province provision psychology publication publish punish pupil pure pursue puzzle qualify quantity quote rail random
rank rapid rare raw ray reader rear recall recipe recommend recover refer reform refuge refugee regime register regret
regulate reinforce reject relative relax relevant relief relieve reluctant rely remark remarkable remedy remind remote
rent repair reply reporter request rescue reserve resident resist resolution resolve resort restore restrict retain
retire reveal revenue reverse review revise revolution reward rhythm rice rid rival rob robot romantic root rope rose
rotate route routine royal rubber ruin rural rush sad sail sake salad salary sand satellite satisfy sauce scatter
schedule scheme scholar scientific scientist scope scream screen script seal secretary sector seed seek seize seldom
sensitive sentence sequence session severe shade shadow shallow shame sheep shelf shell shelter shift shine shirt shock
shore shower significant silence silent silk silly silver sin sing sink skirt slave slice slide slip slope smart smell
smith snake soap solar sole sophisticated sorry soup southern spare spatial specialist species specific specify spell
sphere spin spiritual spoil spoon spot stable stair stake stamp stare statement statistic statue status steady steam
steel steep stem stiff stimulate stir stock stomach storage straight strain strategy strike string strip stroke
structural struggle studio stuff stupid submit substance substantial substitute suburb suck sufficient sum superior
surgery surplus survey suspect suspend sustain swallow swear sweep swing switch symbol sympathy symptom tail talent
tank tape target task taste teacher telephone television temporary temptation tendency tennis tension tent terrible
territory terror testing theatre theme therapy thought thread throat ticket tight till tin tiny tip tire tissue tobacco
toe tongue tooth topic torture tough tourist towel tower toy trace tragedy trail transaction transfer transform
transition translate transport trap tray treasure treaty trend trial tribe trick triumph troop tropical tube tune twelve
twenty twice twin twist typical ugly ultimate unable uncle unemployment uniform union unique unite universal universe
unknown unless unlike upset urban urge user utility valid valley valuable van variable variety vegetable vehicle venture
verse vertical vessel veteran victim victory video violence virtual virtue virus visible vision visual vital volume
volunteer vulnerable wage wake warn warning weapon web wedding weekend weigh welfare western whisper widespread willing
wing wire wisdom wise witness wolf wooden wool worker workshop worship wound wrap writer
`;

/** Commonest group first. */
export const COMMON_WORD_GROUPS: readonly (readonly string[])[] = [EVERYWHERE, FREQUENT, FAMILIAR].map(
  (group) => group.trim().split(/\s+/),
);
