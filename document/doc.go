// Package document is what was asked: the ExecutionCell document of cellos.io/v1, read strictly from JSON or YAML.
//
//	data, err := document.Read("cell.yaml", os.Stdin)
//	doc, err := document.Parse("cell.yaml", data)
//	var problems document.Problems
//	if errors.As(err, &problems) {
//		for _, p := range problems {
//			fmt.Println(p.In("cell.yaml")) // cell.yaml:9:13: spec.authority.egressRules[2].port: 70000 is above 65535
//		}
//	}
//
// A document that Parse returns satisfies every rule that can be checked from the document alone; all problems are
// reported at once. [Document.CanonicalDigest] is the digest of its meaning, [Document.JSON] writes a document made in Go,
// [Schema] describes the form for editors.
//
// The package does not know the host, the environment's configuration or the time: whether a backend can enforce what is
// asked, whether a policy allows it and whether a token's signature holds are decided elsewhere.
package document
