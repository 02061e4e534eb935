package input

// Kind is what a value is, before anybody asks what it should be.
type Kind uint8

// The kinds of JSON values (RFC 8259 section 3).
const (
	Null Kind = iota
	Bool
	Number
	String
	List
	Object
)

// String names the kind with its article, for messages: "an object".
func (k Kind) String() string {
	switch k {
	case Null:
		return "null"
	case Bool:
		return "true or false"
	case Number:
		return "a number"
	case String:
		return "a string"
	case List:
		return "a list"
	case Object:
		return "an object"
	}
	return "an unknown kind of value"
}

// A Node is one value of an input with its place, whether it was written as JSON or as YAML.
type Node struct {
	Kind    Kind
	Text    string // of a String: its characters; of a Number: as written; of a Bool: "true" or "false"
	Items   []*Node
	Members []Member // of an Object, in the order written, repeated names included
	Line    int      // from 1
	Column  int      // from 1, in characters
}

// A Member is one name and value of an object.
type Member struct {
	Name         string
	Line, Column int // of the name
	Value        *Node
}

// Member returns the value of the first member called name, nil when there is none.
func (n *Node) Member(name string) *Node {
	for i := range n.Members {
		if n.Members[i].Name == name {
			return n.Members[i].Value
		}
	}
	return nil
}

// find returns the value at p, or the nearest value around it that exists.
func (n *Node) find(p *Path) *Node {
	if p == nil {
		return n
	}
	around := n.find(p.parent)
	if p.item {
		if p.index < len(around.Items) {
			return around.Items[p.index]
		}
		return around
	}
	if v := around.Member(p.name); v != nil {
		return v
	}
	return around
}
