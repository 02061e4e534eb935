package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"cellos.io/cellos/cell"
	"cellos.io/cellos/evidence"
)

// Exports carries artifacts out of a cell. Artifacts are named by their index in the document.
type Exports interface {
	// Target says where an artifact goes.
	Target(artifact int) Target
	// Export reads the file to its end and puts it to the artifact's target. On error nothing new is there, as far as that is in the
	// exporter's power.
	Export(ctx context.Context, artifact int, f fs.File) (Exported, error)
}

// A Target is where an artifact goes, in the words of the events.
type Target struct {
	Kind        string // "local", "http" or "s3"
	Name        string // of the document's target; "" if it is none of them
	Destination string // without credentials
}

// Exported says what arrived.
type Exported struct {
	Bytes  int64
	SHA256 string // 64 lower-case hexadecimal digits
}

// An opener is a cell whose files can be read when the command has ended and the cell is still there.
type opener interface {
	// Open opens a regular file, by its absolute path, as the command saw it. No component may be a symbolic link, and the command must
	// have had the right to read it.
	Open(path string) (fs.File, error)
}

// export carries the artifacts out, in order, up to the first that fails. Of a command that failed nothing is exported.
func (l *life) export() error {
	if l.Exports == nil || !l.ran || l.err != nil || l.outcome.Code != 0 || l.outcome.Signal != 0 {
		return nil
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	go func() {
		select {
		case <-ctx.Done():
		case <-l.late.hurry:
			cancel(errors.New("ended by a signal to the supervisor"))
		}
	}()
	for i, a := range l.Authority.Exports {
		if err := l.append(evidence.FSTouch{SourcePath: a.Path, ArtifactName: a.Name}); err != nil {
			return err
		}
		to := l.Exports.Target(i)
		done, err := carry(ctx, l.cell, l.Exports, i, a.Source, to.Destination)
		if err != nil && ctx.Err() != nil {
			err = fmt.Errorf("%w (%v)", err, context.Cause(ctx))
		}
		if err != nil {
			err = fmt.Errorf("export sink: %w", err)
			failed := evidence.ExportFailed{ArtifactName: a.Name, TargetKind: to.Kind, TargetName: to.Name, Destination: to.Destination, Reason: err.Error(),
				Provenance: l.origin}
			return errors.Join(err, l.append(failed))
		}
		receipt := evidence.Receipt{TargetKind: to.Kind, Destination: to.Destination, BytesWritten: done.Bytes}
		if to.Name != "" {
			receipt.TargetName = &to.Name
		}
		err = l.all(
			evidence.Artifact{ArtifactName: a.Name, SourcePath: a.Path, SizeBytes: done.Bytes, SHA256: done.SHA256, TargetKind: to.Kind, Destination: to.Destination},
			evidence.ExportCompleted{ArtifactName: a.Name, Receipt: receipt, Provenance: l.origin},
		)
		if err != nil {
			return err
		}
	}
	return nil
}

func carry(ctx context.Context, c cell.Cell, e Exports, artifact int, path, destination string) (Exported, error) {
	o, ok := c.(opener)
	if !ok {
		return Exported{}, errors.New("this backend does not open files of its cells")
	}
	f, err := o.Open(path)
	if err != nil {
		return Exported{}, fmt.Errorf("export copy -> %s: %w", destination, err)
	}
	defer f.Close()
	return e.Export(ctx, artifact, f)
}
