// Package authz reads authorization policies, files that say which tenants, pools and policy packs may run, and applies them.
//
//	p, err := authz.Parse(data) // input.Problems: everything that is wrong with the file
//	denials := p.Denials(doc, loaded)
//
// What a document says of itself is a claim: a pack that it names counts only when it is the loaded one.
package authz

import (
	"fmt"
	"slices"

	"cellos.io/cellos/document"
	"cellos.io/cellos/document/format"
	"cellos.io/cellos/document/input"
)

// A Policy is an authorization policy as read.
type Policy struct {
	APIVersion string `json:"apiVersion" doc:"required,enum=cellos.io/v1"`
	Kind       string `json:"kind" doc:"required,enum=AuthorizationPolicy"`
	Spec       Spec   `json:"spec" doc:"required"`
}

// A Spec is the body of a policy. Empty lists of pools and packs restrict nothing.
type Spec struct {
	Subjects           []string `json:"subjects" doc:"required,min=1,format=nonblank"` // values of spec.correlation.tenantId
	AllowedPools       []string `json:"allowedPools" doc:"nonull,format=nonblank"`
	AllowedPolicyPacks []string `json:"allowedPolicyPacks" doc:"nonull,format=nonblank"`
	MaxCellsPerHour    *int64   `json:"maxCellsPerHour" doc:"min=1,max=4294967295"` // nothing here counts cells
}

// Parse reads a policy. The error is of type input.Problems.
func Parse(data []byte) (*Policy, error) {
	root, err := input.Parse("policy.json", data)
	if err != nil {
		return nil, err
	}
	p := new(Policy)
	if err := input.Decode(root, p).Err(); err != nil {
		return nil, err
	}
	return p, nil
}

// Reasons of denials: the documented words.
const (
	SubjectNotAuthorized = "subject_not_authorized"
	PoolNotAllowed       = "pool_not_allowed"
	PackNotAllowed       = "policy_pack_not_allowed"
)

// A Denial is one thing that the policy does not allow.
type Denial struct {
	Reason string // SubjectNotAuthorized, …
	Path   string // in the document
	Text   string // one line, without the path
	Claim  bool   // only because the pack that the document names is not loaded
}

// Denials returns everything that the policy does not allow, in the order subject, pool, pack. loaded is the id of the policy pack
// that is applied, "" for none.
func (p *Policy) Denials(doc *document.Document, loaded string) (list []Denial) {
	s := &doc.Spec
	deny := func(reason, path, format string, args ...any) {
		list = append(list, Denial{Reason: reason, Path: path, Text: fmt.Sprintf(format, args...)})
	}
	const tenant = "spec.correlation.tenantId"
	switch {
	case s.Correlation == nil || s.Correlation.TenantID == nil:
		deny(SubjectNotAuthorized, tenant, "is required by the authorization policy")
	case !slices.Contains(p.Spec.Subjects, *s.Correlation.TenantID):
		deny(SubjectNotAuthorized, tenant, "%s is not among the subjects of the authorization policy", format.Quote(*s.Correlation.TenantID))
	}
	const pool = "spec.placement.poolId"
	switch {
	case len(p.Spec.AllowedPools) == 0:
	case s.Placement == nil || s.Placement.PoolID == nil:
		deny(PoolNotAllowed, pool, "is required by the authorization policy")
	case !slices.Contains(p.Spec.AllowedPools, *s.Placement.PoolID):
		deny(PoolNotAllowed, pool, "%s is not among the pools of the authorization policy", format.Quote(*s.Placement.PoolID))
	}
	const pack = "spec.policy.packId"
	switch {
	case len(p.Spec.AllowedPolicyPacks) == 0:
	case s.Policy == nil || s.Policy.PackID == nil:
		deny(PackNotAllowed, pack, "is required by the authorization policy")
	case !slices.Contains(p.Spec.AllowedPolicyPacks, *s.Policy.PackID):
		deny(PackNotAllowed, pack, "%s is not among the policy packs of the authorization policy", format.Quote(*s.Policy.PackID))
	case *s.Policy.PackID != loaded:
		what := "no policy pack is loaded"
		if loaded != "" {
			what = "the loaded policy pack is " + format.Quote(loaded)
		}
		list = append(list, Denial{PackNotAllowed, pack, format.Quote(*s.Policy.PackID) + " is named, but " + what, true})
	}
	return list
}
