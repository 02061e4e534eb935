package document

// Authority is everything that the cell is granted.
type Authority struct {
	Filesystem          *Filesystem          `json:"filesystem"`
	Network             *Network             `json:"network"`
	EgressRules         []EgressRule         `json:"egressRules"`
	SecretRefs          []string             `json:"secretRefs" doc:"format=portable"` // a set: repeats mean nothing
	AuthorityDerivation *AuthorityDerivation `json:"authorityDerivation"`
	DNSAuthority        *DNSAuthority        `json:"dnsAuthority" doc:"omit"`
	CDNAuthority        *CDNAuthority        `json:"cdnAuthority" doc:"omit"`
}

// What the working directory is to the cell.
const (
	WorkingDirectoryOverlay = "overlay" // a copy-on-write view; the host is not changed; the default
	WorkingDirectoryRead    = "read"    // read-only
	WorkingDirectoryWrite   = "write"   // the host's directory itself
	WorkingDirectoryEmpty   = "empty"   // a new, empty directory
)

// Filesystem says which of the host's files the cell is shown. The zero value says nothing.
//
// In the canonical form this object was free JSON before it had a type, with members in ascending order: hence the order
// of the fields here and in Grant.
type Filesystem struct {
	Exec             []Grant `json:"exec" doc:"omit,or=path"` // to be read and executed
	Read             []Grant `json:"read" doc:"omit,or=path"`
	WorkingDirectory *string `json:"workingDirectory" doc:"omit,enum=overlay|read|write|empty"` // nil: overlay
	Write            []Grant `json:"write" doc:"omit,or=path"`                                  // to be read and written
}

// A Grant shows one path of the host to the cell. A document writes it as an object, or as its path alone.
type Grant struct {
	At   *string `json:"at" doc:"omit,format=grant"` // where the cell sees it; nil: at Path
	Path string  `json:"path" doc:"required,format=grant"`
}

// Target returns where the cell sees the grant.
func (g Grant) Target() string {
	if g.At != nil {
		return *g.At
	}
	return g.Path
}

// Network is reserved: it has no fields, and grants nothing. Network access is granted by EgressRules.
type Network struct{}

// An EgressRule grants connections to one host and port.
type EgressRule struct {
	Host                   string      `json:"host" doc:"required,format=host"`
	Port                   uint16      `json:"port" doc:"required,min=1,max=65535"`
	Protocol               *string     `json:"protocol" doc:"format=protocol"` // tcp udp tls https http dns-acknowledged, in any case; nil: tcp
	DNSEgressJustification *string     `json:"dnsEgressJustification" doc:"omit"`
	Budget                 *Budget     `json:"budget" doc:"omit"` // nil: no limit of its own
	Inject                 []Injection `json:"inject" doc:"omit"` // secrets that the gate puts into requests, and the command never has
}

// An Injection has the gate open the TLS of a rule and put a secret into each request. The command finds a placeholder in the secret's place.
type Injection struct {
	Secret string  `json:"secret" doc:"required,format=portable"` // one of Authority.SecretRefs
	Header string  `json:"header" doc:"required,format=header"`   // whatever the command sends in it is dropped
	Prefix *string `json:"prefix" doc:"omit,format=visible"`      // before the value: "Bearer "; nil: nothing
}

// What happens when a Budget is used up.
const (
	ExceedRefuse = "refuse" // further connections are refused, the one under way is cut; the default
	ExceedEnd    = "end"    // the cell ends
)

// A Budget bounds what a rule may be used for: an allowed name is a way out, too. nil means no limit.
type Budget struct {
	BytesOut    *int64  `json:"bytesOut" doc:"omit,min=1"`    // from the cell, payload of all connections together
	BytesIn     *int64  `json:"bytesIn" doc:"omit,min=1"`     // to the cell
	Connections *int64  `json:"connections" doc:"omit,min=1"` // in the whole run
	Requests    *int64  `json:"requests" doc:"omit,min=1"`    // of cleartext HTTP, in the whole run
	PerSecond   *int64  `json:"perSecond" doc:"omit,min=1"`   // new connections
	OnExceed    *string `json:"onExceed" doc:"omit,enum=refuse|end"`
}

// An AuthorityDerivation is a token: somebody with a known key signed that this cell may have LeafCapability.
type AuthorityDerivation struct {
	RoleRoot         string           `json:"roleRoot" doc:"required"`
	ParentRunID      *string          `json:"parentRunId"`
	DerivationSteps  []DerivationStep `json:"derivationSteps" doc:"nonull"`
	LeafCapability   Capability       `json:"leafCapability" doc:"required"`
	GrantorSignature GrantorSignature `json:"grantorSignature" doc:"required"`
}

// A DerivationStep says that one capability was narrowed to another.
type DerivationStep struct {
	FromCapability Capability `json:"fromCapability" doc:"required"`
	ToCapability   Capability `json:"toCapability" doc:"required"`
}

// A Capability is the part of an Authority that tokens speak of.
type Capability struct {
	EgressRules []EgressRule `json:"egressRules" doc:"nonull"`
	SecretRefs  []string     `json:"secretRefs" doc:"nonull,format=portable"`
}

// A GrantorSignature signs a token.
type GrantorSignature struct {
	Algorithm string `json:"algorithm" doc:"required,enum=ed25519"`
	Bytes     string `json:"bytes" doc:"required"` // standard base64 of 64 bytes; not looked at here
}
