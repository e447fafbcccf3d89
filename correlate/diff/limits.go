package diff

// Bounds of the work on two flows. A message is read and parsed twice and compared once, whatever it holds (see package
// compare); what could grow with the product of two numbers is bounded here.
const (
	// maxCells is how many cells of alignments are filled for two flows in all: about 0.2 s, and 8 MiB while it lasts. Two
	// sequences of 2,000 are aligned exactly, longer ones within a band around the diagonal.
	maxCells = 8 << 20
	// minBand is the least half width of a band, in elements, when maxCells is used up.
	minBand = 16
	// maxPeople is how many participants of a side are aligned by what they do; further ones by order.
	maxPeople = 64
	// maxHosts is how many addresses that belong to no participant are told from each other.
	maxHosts = 4096
	// maxIDs is how many Call-IDs, tags and users are named.
	maxIDs = 1 << 16
	// minID is the least length in bytes of an identifier that is found in running text: shorter ones are words.
	minID = 6
	// maxID is the greatest length in bytes of a run of text that is searched for parts that stand for something.
	maxID = 256
	// maxText is how many bytes of a message are searched for addresses and identifiers.
	maxText = 64 << 10
	// maxValue is the length in bytes of a value that a difference shows.
	maxValue = 200
	// maxListed is how many differences of one pair of messages are listed.
	maxListed = 64
	// maxNamed is how many codes or codecs a headline lists.
	maxNamed = 8
	// maxHops is how many hops of one message are followed back.
	maxHops = 16
	// backLook is how many events are searched for what caused one.
	backLook = 64
)
