package evidence

// FSTouch announces that an artifact is about to be read for export.
type FSTouch struct{ SourcePath, ArtifactName string }

func (FSTouch) Type() string { return TypeFSTouch }

func (p FSTouch) AppendData(dst []byte, r *Run) []byte {
	o := begin(dst)
	o.str("artifactName", p.ArtifactName)
	o.str("cellId", r.CellID)
	o.correlation(r.Correlation)
	o.str("purpose", "export")
	o.str("runId", r.RunID)
	o.str("sourcePath", p.SourcePath)
	o.str("specId", r.SpecID)
	return o.end()
}

// Receipt says where an artifact went.
type Receipt struct {
	TargetKind   string  // "local", "s3" or "http"
	TargetName   *string // nil: null
	Destination  string
	BytesWritten int64
}

// ExportCompleted says that an artifact reached its target.
type ExportCompleted struct {
	ArtifactName string
	Receipt      Receipt
	Provenance   Provenance
}

func (ExportCompleted) Type() string { return TypeExportCompleted }

func (p ExportCompleted) AppendData(dst []byte, r *Run) []byte {
	o := begin(dst)
	o.str("artifactName", p.ArtifactName)
	o.str("cellId", r.CellID)
	o.correlation(r.Correlation)
	o.provenance(p.Provenance)
	o.object("receipt", func(o *object) {
		o.num("bytesWritten", p.Receipt.BytesWritten)
		o.str("destination", p.Receipt.Destination)
		o.str("targetKind", p.Receipt.TargetKind)
		o.strNull("targetName", p.Receipt.TargetName)
	})
	o.str("runId", r.RunID)
	o.str("specId", r.SpecID)
	return o.end()
}

// ExportFailed says that an artifact did not reach its target. Empty TargetName and Destination are left out.
type ExportFailed struct {
	ArtifactName, TargetKind, Reason string
	TargetName, Destination          string
	Provenance                       Provenance
}

func (ExportFailed) Type() string { return TypeExportFailed }

func (p ExportFailed) AppendData(dst []byte, r *Run) []byte {
	o := begin(dst)
	o.str("artifactName", p.ArtifactName)
	o.str("cellId", r.CellID)
	o.correlation(r.Correlation)
	o.strOpt("destination", p.Destination)
	o.provenance(p.Provenance)
	o.str("reason", p.Reason)
	o.str("runId", r.RunID)
	o.str("specId", r.SpecID)
	o.str("targetKind", p.TargetKind)
	o.strOpt("targetName", p.TargetName)
	return o.end()
}
