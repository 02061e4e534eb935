// Package input reads what people wrote: strict JSON and YAML, with places, into Go structs, all mistakes at once.
//
//	data, err := input.Read("cell.yaml", os.Stdin)
//	root, err := input.Parse("cell.yaml", data)
//	var pack struct {
//		ID string `json:"id" doc:"required,format=portable"`
//	}
//	report := input.Decode(root, &pack)
//	var whole *input.Path // the nil Path
//	report.Add(whole.Field("id"), "is taken")
//	return report.Err() // input.Problems: id: is taken
//
// The tags are those of package document/internal/field. Unknown and repeated fields, wrong types and numbers out of
// range are problems; an input that is no JSON or YAML has one problem, its first. YAML means its 1.2 core schema, one
// document, without anchors, aliases, merge keys and tags, numbers written as in JSON.
//
// It does not know what any field means, does not follow a symbolic link, and writes nothing.
package input
