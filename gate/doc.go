// Package gate is the network of a cell: everything that the cell sends ends here, in a TCP/IP stack of the supervisor's own, and what
// was granted goes on as a connection of the supervisor's.
//
//	g, err := gate.New(gate.Config{Rules: a.Network, Names: a.Names, …})
//	err = g.Open(link, record)  // packets are answered, all with a refusal
//	g.Release()                 // granted ones pass from here on
//	err = g.Close()             // the account is written
//
// The way of a packet, each step a file:
//
//	device    an IP packet, read from the cell's link
//	packet    dropped, if it is none that a cell has reason to send     → counted
//	tuple     (address, port, protocol) in a closed table?              → refused: RST, port unreachable
//	name      an address of the table stands for one granted name
//	decision  resolve, filter the addresses, look at limits and budget  → refused, before the cell's connect returns
//	          write the decision
//	dial      one of the addresses that passed
//	check     the name in TLS or HTTP is the one that was granted       → refused: RST, 403
//	splice    bytes both ways, counted
//
// DNS questions are answered here, too: a granted name gets an address that stands for it, another name gets REFUSED. Nothing that
// the cell sends is ever forwarded as it is, below the payload of a granted connection.
//
// The package opens connections from the host's network and binds no address of it. It knows one cell.
package gate
