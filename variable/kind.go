package variable

// A Name is the name of a variable of some kind: Text, Present, …
type Name interface {
	name() string
	kind() string
}

// The kinds of variables. Their constants are in names.go.
type (
	// A Text is taken as it is.
	Text string
	// A Line is a text without the blanks around it; blank counts as not set.
	Line string
	// A Path is a file or folder name, taken as it is: a variable that is set and empty names a file that cannot be read.
	Path string
	// A Present is on when the variable is set, also to nothing and also to 0.
	Present string
	// A Switch is off unless it says 1, true, yes or on; 0, false, no, off and blank are off, anything else is an error.
	Switch string
	// An Unless is on unless it says 0, false, no or off; blank is on. Anything but these and the words of a Switch is an error.
	Unless string
	// A One is on for 1 and off for 0 and blank; anything else is an error.
	One string
	// A Word is one of the words of its row.
	Word string
	// A Number is a whole number within the bounds of its row; blank counts as not set.
	Number string
	// A Millis is a number of milliseconds above 0; blank counts as not set.
	Millis string
	// A List is separated by commas; blanks around an element do not count, and empty elements are dropped.
	List string
	// A Prefix begins the names of many variables; the help of its row says how the rest is made.
	Prefix string
)

func (n Text) name() string    { return string(n) }
func (n Line) name() string    { return string(n) }
func (n Path) name() string    { return string(n) }
func (n Present) name() string { return string(n) }
func (n Switch) name() string  { return string(n) }
func (n Unless) name() string  { return string(n) }
func (n One) name() string     { return string(n) }
func (n Word) name() string    { return string(n) }
func (n Number) name() string  { return string(n) }
func (n Millis) name() string  { return string(n) }
func (n List) name() string    { return string(n) }
func (n Prefix) name() string  { return string(n) }

func (Text) kind() string    { return "text" }
func (Line) kind() string    { return "line" }
func (Path) kind() string    { return "path" }
func (Present) kind() string { return "present" }
func (Switch) kind() string  { return "switch" }
func (Unless) kind() string  { return "unless" }
func (One) kind() string     { return "one" }
func (Word) kind() string    { return "word" }
func (Number) kind() string  { return "number" }
func (Millis) kind() string  { return "milliseconds" }
func (List) kind() string    { return "list" }
func (Prefix) kind() string  { return "prefix" }
