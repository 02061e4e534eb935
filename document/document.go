package document

import (
	"io"

	"cellos.io/cellos/document/input"
)

const (
	// APIVersion is the only version of documents there is.
	APIVersion = "cellos.io/v1"
	// Kind is the kind of document that describes a cell.
	Kind = "ExecutionCell"
)

// A Document asks for one cell. In all types of this package a nil pointer, slice or map means that the document does not
// say, and Parse writes the default into fields that have one. All integers are at least 0 unless a bound is given.
type Document struct {
	APIVersion string `json:"apiVersion" doc:"required,enum=cellos.io/v1"`
	Kind       string `json:"kind" doc:"required,enum=ExecutionCell"`
	Spec       Spec   `json:"spec" doc:"required"`
}

// A Spec is the body of a document. The order of its fields, here and in all types below, is that of the canonical form.
type Spec struct {
	ID          string       `json:"id" doc:"required,format=portable"`
	Correlation *Correlation `json:"correlation"`
	Ingress     *Ingress     `json:"ingress"`
	Environment *Environment `json:"environment"`
	Placement   *Placement   `json:"placement" doc:"omit"`
	Policy      *Policy      `json:"policy"`
	Identity    *Identity    `json:"identity"`
	Run         *Run         `json:"run"` // nil: the cell is made and torn down, nothing runs in it
	Authority   Authority    `json:"authority" doc:"required"`
	Lifetime    Lifetime     `json:"lifetime" doc:"required"`
	Export      *Export      `json:"export"`
	Telemetry   *Telemetry   `json:"telemetry" doc:"omit"`
}

// Correlation ties the cell to what others call it. It grants nothing.
type Correlation struct {
	Platform      *string           `json:"platform"`
	ExternalRunID *string           `json:"externalRunId"`
	ExternalJobID *string           `json:"externalJobId"`
	TenantID      *string           `json:"tenantId" doc:"omit,format=tenant"`
	Labels        map[string]string `json:"labels"`
	CorrelationID *string           `json:"correlationId" doc:"omit"`
}

// Ingress says where the cell's sources come from.
type Ingress struct {
	Git      *Git      `json:"git"`
	OCIImage *OCIImage `json:"ociImage"`
}

// Git is a repository to be checked out.
type Git struct {
	URL       *string `json:"url"`
	Ref       *string `json:"ref"`
	SecretRef *string `json:"secretRef" doc:"format=portable"` // need not be granted in authority.secretRefs
}

// OCIImage is an image to be unpacked.
type OCIImage struct {
	Reference string  `json:"reference" doc:"required,format=nonempty"`
	Digest    *string `json:"digest" doc:"format=digest"`
	SecretRef *string `json:"secretRef" doc:"format=portable"` // need not be granted in authority.secretRefs
}

// Environment names the image that a machine boots.
type Environment struct {
	ImageReference string  `json:"imageReference" doc:"required,format=nonblank"`
	ImageDigest    *string `json:"imageDigest" doc:"format=digest"`
	TemplateID     *string `json:"templateId" doc:"format=portable"`
}

// Placement is a hint for a scheduler; at least one field is set. It grants nothing.
type Placement struct {
	PoolID              *string `json:"poolId" doc:"omit,format=portable"`
	KubernetesNamespace *string `json:"kubernetesNamespace" doc:"omit,format=namespace"`
	QueueName           *string `json:"queueName" doc:"omit,format=portable"`
}

// Policy names the policy pack that the author had in mind. It is a claim, not a choice.
type Policy struct {
	PackID       *string `json:"packId"`
	PackVersion  *string `json:"packVersion"`
	BundleDigest *string `json:"bundleDigest"`
}

// Identity asks for a workload identity, delivered as the secret SecretRef.
type Identity struct {
	Kind       string  `json:"kind" doc:"required,enum=federatedOidc"`
	Provider   string  `json:"provider" doc:"required,format=nonempty"`
	Audience   string  `json:"audience" doc:"required,format=nonempty"`
	Subject    *string `json:"subject"`
	TTLSeconds *int64  `json:"ttlSeconds" doc:"min=1"` // nil: the cell's; at most the cell's
	SecretRef  string  `json:"secretRef" doc:"required,format=portable"`
}

// Lifetime bounds the cell's life.
type Lifetime struct {
	TTLSeconds int64 `json:"ttlSeconds" doc:"required,min=1,max=9223372036"` // the maximum fits nanoseconds in 63 bits
}

// A Problem is one thing that is wrong with a document.
type Problem = input.Problem

// Problems is the error of Parse: everything that is wrong, in the order of the document.
type Problems = input.Problems

// Read returns the bytes of the document at path, or of standard input for "-". See [input.Read].
func Read(path string, stdin io.Reader) ([]byte, error) { return input.Read(path, stdin) }

// Parse reads a document. It is YAML if name ends in .yaml or .yml, or is "-" and data does not begin with a brace; else it
// is JSON. The error is of type [Problems]: one problem when data is not JSON or YAML, else all that break a rule.
func Parse(name string, data []byte) (*Document, error) {
	root, err := input.Parse(name, data)
	if err != nil {
		return nil, err
	}
	doc := new(Document)
	report := input.Decode(root, doc)
	if root.Kind == input.Object {
		checkSpec(&doc.Spec, report)
	}
	if err := report.Err(); err != nil {
		return nil, err
	}
	return doc, nil
}
