package evidence

// Artifact says what was exported: the content that the documented event export.v2.completed, which follows, has no member for.
// Attestations name artifacts by it.
type Artifact struct {
	ArtifactName string
	SourcePath   string // in the cell
	SizeBytes    int64
	SHA256       string // of the bytes that went to the target, 64 lower-case hexadecimal digits
	TargetKind   string // "local", "s3" or "http"
	Destination  string // as in the receipt
}

func (Artifact) Type() string { return TypeArtifact }

func (p Artifact) AppendData(dst []byte, r *Run) []byte {
	o := begin(dst)
	o.str("artifactName", p.ArtifactName)
	o.str("cellId", r.CellID)
	o.str("destination", p.Destination)
	o.str("runId", r.RunID)
	o.str("sha256", p.SHA256)
	o.num("sizeBytes", p.SizeBytes)
	o.str("sourcePath", p.SourcePath)
	o.str("specId", r.SpecID)
	o.str("targetKind", p.TargetKind)
	return o.end()
}
