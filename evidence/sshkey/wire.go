package sshkey

import "encoding/binary"

// reader takes apart what the SSH protocols write (RFC 4251, section 5). What is not there reads as nothing, and end says so.
type reader struct{ b []byte }

// number reads a uint32.
func (r *reader) number() uint32 {
	if len(r.b) < 4 {
		r.b = []byte{0} // never at the end
		return 0
	}
	n := binary.BigEndian.Uint32(r.b)
	r.b = r.b[4:]
	return n
}

// text reads a string: its length and its bytes, which share memory with the input.
func (r *reader) text() []byte {
	n := r.number()
	if uint64(n) > uint64(len(r.b)) {
		r.b = []byte{0}
		return nil
	}
	s := r.b[:n]
	r.b = r.b[n:]
	return s
}

// end reports whether everything was read, and was there.
func (r *reader) end() bool { return len(r.b) == 0 }

func appendText(dst []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(dst, uint32(len(s))), s...)
}
