// Package inject puts secrets into the requests of a cell that does not have them: it opens the TLS of one connection, as the server that the
// cell asked for, checks each request, sets the header, and passes on over TLS of its own. Answers are looked through for the values.
//
//	o, err := inject.New(rules, roots, lifetime)
//	der := o.Certificate()               // for the trust store of this cell, and of no other
//	err = o.Take("API_KEY", value)       // of each secret that the rules name
//	err = o.Serve(cell, server, site)    // one connection; both ends stay the caller's to close
//
// Between the two ends is HTTP/2, where the cell and the server both speak it, or else HTTP/1.1, and nothing else: other protocols are not offered
// (ALPN), a change of protocol is refused. Requests of HTTP/1.1 are read by package http1, so that both sides see the same ones, and written anew;
// one at a time, so that answers cannot be mistaken. HTTP/2 is read and written by golang.org/x/net/http2: a stream becomes a stream.
//
//	cell                    gate                                   server
//	ClientHello  ─────────▶ the name is that of the stand-in
//	                        TLS 1.2 or newer, verified     ──────▶
//	TLS, certificate of the run's authority ◀────
//	request      ─────────▶ checked, counted; header set   ──────▶
//	             ◀───────── values are stars, head and body ◀───── answer
//
// The package opens no connections and decides on no names: the gate does.
package inject
