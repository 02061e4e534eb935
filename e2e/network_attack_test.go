package e2e

import (
	"net/netip"
	"strings"
	"testing"
)

// attackHelp is Python that every attack begins with: raw requests, raw questions, raw ClientHellos.
const attackHelp = `import socket,os,struct,ssl,time
def port(n): return int(os.environ[n])
def http(data,name='a.test',p=None):
    s=socket.create_connection((name,p or port('HTTP')),timeout=20); s.sendall(data); out=b''
    try:
        while True:
            b=s.recv(65536)
            if not b: break
            out+=b
    except ConnectionResetError: out+=b'RESET'
    return out
def status(b): return [p[2:5].decode() for p in b.split(b'HTTP/1.')[1:]]
def q(name,t=1,flags=0x0100,cls=1,count=1,tail=b'',raw=None):
    n=raw if raw is not None else b''.join(bytes([len(l)])+l.encode() for l in name.split('.'))+b'\0'
    return struct.pack('>HHHHHH',7,flags,count,0,0,0)+n+struct.pack('>HH',t,cls)+tail
def dns(m,wait=20):
    s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.settimeout(wait); s.sendto(m,('198.18.0.2',53))
    try: r=s.recv(4096)
    except TimeoutError: return 'silence'
    return (r[3]&15,struct.unpack('>H',r[6:8])[0])
def burst(name,n=300): # without waiting for answers, faster than questions may come on the slowest machine: the codes that come back
    s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.settimeout(1); s.connect(('198.18.0.2',53)); r=set()
    for i in range(n): s.send(q(name%i if '%' in name else name))
    try:
        while True: r.add(s.recv(4096)[3]&15)
    except TimeoutError: return r
def ext(k,d): return struct.pack('>HH',k,len(d))+d
def sni(*names):
    l=b''.join(b'\0'+struct.pack('>H',len(n))+n for n in names); return ext(0,struct.pack('>H',len(l))+l)
def hello(*exts):
    e=b''.join(exts); b=b'\3\3'+b'r'*32+b'\0\0\2\x13\1\1\0'+struct.pack('>H',len(e))+e
    m=b'\1'+struct.pack('>I',len(b))[1:]+b; return b'\x16\3\1'+struct.pack('>H',len(m))+m
def tls(data,name='a.test',pieces=1,pause=0):
    s=socket.create_connection((name,port('TLS')),timeout=30); s.setsockopt(socket.IPPROTO_TCP,socket.TCP_NODELAY,1)
    try:
        if pieces==1: s.sendall(data)
        else:
            for i in range(0,len(data),pieces): s.sendall(data[i:i+pieces])
        r=s.recv(5)
    except ConnectionResetError: return 'reset'
    return 'closed' if not r else 'answered'
def connect(addr,p,fam=socket.AF_INET,kind=socket.SOCK_STREAM):
    try:
        s=socket.socket(fam,kind); s.settimeout(20); s.connect((addr,p)); return 'connected'
    except OSError as e: return os.strerror(e.errno) if e.errno else str(e)
`

// networkAttacks are scripts that follow attackHelp, with what they print and the event that tells of it.
var networkAttacks = []struct{ name, script, out, event string }{
	{"connect by number", `print(connect('192.0.2.7',443), connect('8.8.8.8',53), connect('169.254.169.254',80))`, "Connection refused Connection refused Connection refused\n", "deny nft_default_drop"},
	{"the gate's own ports", `print({connect('198.18.0.2',p) for p in (1,22,80,443,853,8080,65535)}, connect('198.18.0.9',80), connect('198.19.200.1',443))`,
		"{'Connection refused'} Connection refused Connection refused\n", "deny nft_default_drop"},
	{"a port that is not granted", `print(connect('a.test',9))`, "Connection refused\n", "deny no_port_granted"},
	{"the host's loopback", `print(connect('127.0.0.1',port('HTTP')))`, "Connection refused\n", "allow nft_egress_rule_match"},
	{"IPv6", `print(connect('2001:db8::1',80,socket.AF_INET6), connect('::ffff:192.0.2.1',80,socket.AF_INET6), connect('fd00::1',80,socket.AF_INET6))`,
		"Network is unreachable Connection refused Network is unreachable\n", "deny nft_default_drop"},
	{"private addresses of names", `print(sorted({connect(n,80) for n in 'loop.test zero.test meta.test ten.test cgn.test six.test link.test ula.test mapped.test nat.test tofour.test'.split()}))`,
		"['Connection refused']\n", "deny address_blocked"},
	{"UDP elsewhere", `
s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.settimeout(20); s.connect(('a.test',443)); s.send(b'quic')
try: s.recv(1)
except OSError as e: print(e.strerror)
s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.settimeout(20); s.connect(('9.9.9.9',853)); s.send(b'doq')
try: s.recv(1)
except OSError as e: print(e.strerror)`, "Connection refused\nConnection refused\n", "deny no_port_granted"},
	{"second request with another host", `print(status(http(b'GET / HTTP/1.1\r\nHost: a.test\r\n\r\nGET / HTTP/1.1\r\nHost: evil.test\r\n\r\n')))`, "['200', '403']\n", "deny l7_http_host_allowlist_miss"},
	{"absolute form", `print(status(http(b'GET http://evil.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n')))`, "['403']\n", "deny l7_unknown_protocol"},
	{"CONNECT", `print(status(http(b'CONNECT evil.test:443 HTTP/1.1\r\nHost: a.test\r\n\r\n')))`, "['403']\n", "deny l7_unknown_protocol"},
	{"two hosts", `print(status(http(b'GET / HTTP/1.1\r\nHost: a.test\r\nHost: evil.test\r\n\r\n')))`, "['403']\n", "deny l7_unknown_protocol"},
	{"blank before the colon", `print(status(http(b'GET / HTTP/1.1\r\nHost : evil.test\r\nHost: a.test\r\n\r\n')))`, "['403']\n", "deny l7_unknown_protocol"},
	{"bare line feeds", `print(status(http(b'GET / HTTP/1.1\nHost: a.test\n\n')))`, "['403']\n", "deny l7_unknown_protocol"},
	{"two codings", `print(status(http(b'POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n')))`, "['403']\n", "deny l7_unknown_protocol"},
	{"length and coding", `print(status(http(b'POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n')))`, "['403']\n", "deny l7_unknown_protocol"},
	{"a bad body", `print(status(http(b'POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0w\r\n\r\nGET / HTTP/1.1\r\nHost: evil.test\r\n\r\n')))`, "['403']\n", "deny l7_unknown_protocol"},
	{"no host", `print(status(http(b'GET / HTTP/1.0\r\n\r\n')))`, "['403']\n", "deny l7_http_host_missing"},
	{"another granted host", `print(status(http(b'GET / HTTP/1.1\r\nHost: b.test\r\n\r\n')))`, "['403']\n", "deny l7_sni_address_mismatch"},
	{"h2c", `print(http(b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')[9:].startswith(b'\0\0\x08\x07'), status(http(b'GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n\r\n')))`,
		"True ['403']\n", "deny l7_unknown_protocol"},
	{"garbage on a web port", `print(http(b'\0\1garbage'))`, "b'RESET'\n", "deny l7_unknown_protocol"},
	{"redirect to metadata", `
import urllib.request
try: urllib.request.urlopen('http://a.test:%d/redirect'%port('HTTP'),timeout=20)
except OSError as e: print(e.reason.strerror)`, "Connection refused\n", "deny nft_default_drop"},
	{"no server name", `print(tls(hello()))`, "reset\n", "deny l7_sni_missing"},
	{"server name: an address", `print(tls(hello(sni(b'192.0.2.1'))))`, "reset\n", "deny l7_sni_missing"},
	{"server name with NUL", `print(tls(hello(sni(b'a.test\0.evil'))), tls(hello(sni(b'x'*300))), tls(hello(sni(b'b\xc3\xbc.test'))))`, "reset reset reset\n", "deny l7_sni_missing"},
	{"two server names", `print(tls(hello(sni(b'a.test',b'evil.test'))))`, "reset\n", "deny l7_unknown_protocol"},
	{"another server name", `print(tls(hello(sni(b'evil.test'))))`, "reset\n", "deny l7_sni_allowlist_miss"},
	{"another granted server name", `print(tls(hello(sni(b'b.test'))))`, "reset\n", "deny l7_sni_address_mismatch"},
	{"ECH", `print(tls(hello(sni(b'a.test'),ext(0xfe0d,b'\0'*8))))`, "reset\n", "deny l7_ech_refused"},
	{"early data", `print(tls(hello(sni(b'a.test'),ext(42,b''))))`, "reset\n", "deny l7_early_data_refused"},
	{"SSLv2", `print(tls(b'\x80\x2e\1\3\1\0\x15\0\0\0\x10'+b'x'*40))`, "reset\n", "deny l7_unknown_protocol"},
	{"STARTTLS", `print(tls(b'EHLO x\r\n'), tls(b'a001 STARTTLS\r\n'))`, "reset reset\n", "deny l7_unknown_protocol"},
	{"hello in pieces", `
h=hello(sni(b'A.test'),ext(10,b'\0\2\0\x1d'),ext(43,b'\2\3\4'),ext(13,b'\0\2\4\3'),ext(51,b'\0\x26\0\x1d\0\x20'+b'k'*32))
m=h[5:]; two=b''.join(b'\x16\3\1'+struct.pack('>H',len(p))+p for p in (m[:7],m[7:]))
print(tls(h),tls(h,pieces=1 and 3),tls(two),tls(hello(sni(b'evil.test')),pieces=3))`, "answered answered answered reset\n", "deny l7_sni_allowlist_miss"},
	{"a huge hello", `print(tls(b'\x16\3\1\x40\0\1\1\0\0'+b'\0'*16380+(b'\x16\3\1\x40\0'+b'\0'*16384)*5))`, "reset\n", "deny l7_unknown_protocol"},
	{"questions", `
print(dns(q('evil.example')), dns(q('a.test',16)), dns(q('a.test',10)), dns(q('a.test',255)), dns(q('a.test')), dns(q('A.tEST')), dns(q('a.test',28)), dns(q('a.test',65)))
print({dns(m,0.3) for m in (q('a.test',flags=0x8100),q('a.test',flags=0x2900),q('a.test',flags=0x2100),q('a.test',cls=3),q('a.test',count=2),q('a.test',count=0),q('a.test',tail=b'x'),
  q('',raw=b'\1.\4test\0'),q('',raw=b'\1 \4test\0'),q('',raw=b'\1\0\4test\0'),q('',raw=b'\xc0\x0c'),q('',raw=bytes([64])+b'a'*64+b'\0'),b'xx')})`,
		"(5, 0) (5, 0) (5, 0) (5, 0) (0, 1) (0, 1) (0, 0) (0, 0)\n{'silence'}\n", "deny malformed_query"},
	{"many names", `
print(burst('%060d.evil.example'))
while 5 not in burst('a.test'): pass
while any(dns(q('a.test'))[0] for _ in range(8)): time.sleep(0.5) # until questions are answered again, several at once`, "{5}\n", "deny denied_query_limit"},
	{"questions over TCP", `
def ask(*parts):
    s=socket.create_connection(('198.18.0.2',53),timeout=20)
    for p in parts: s.sendall(p)
    return s
m=q('a.test'); m=struct.pack('>H',len(m))+m
s=ask(*[m[i:i+1] for i in range(len(m))]); print(len(s.recv(500)))
s=ask(m+m); b=b''
while len(b)<2*(2+len(m)-2+16): b+=s.recv(500)
print(len(b))
print(ask(b'\0\0').recv(1), ask(b'\xff\xff').recv(1))`, "42\n84\nb'' b''\n", "deny malformed_query"},
	{"sockets", `
def no(f,*a):
    try: f(*a); return False
    except OSError: return True
print([no(socket.socket,*a) for a in ((2,3,1),(2,3,255),(10,3,58),(17,3,3),(17,2,3),(40,1,0),(2,1,132),(2,5,132),(2,6,33))]) # raw, packet, vsock, SCTP, DCCP
print(no(open,'/dev/net/tun'), no(socket.socket().setsockopt,socket.SOL_SOCKET,36,1)) # a device, SO_MARK
def route():
    s=socket.socket(socket.AF_NETLINK,socket.SOCK_RAW,0); s.settimeout(20)
    m=struct.pack('BBBBBBBBI',2,0,0,0,254,4,0,1,0)+struct.pack('HHI',8,4,1) # a default route by link 1
    s.sendto(struct.pack('IHHII',16+len(m),24,0x605,1,0)+m,(0,0)); r=s.recv(4096)
    e=struct.unpack('i',r[16:20])[0]
    if e: raise OSError(-e,'')
print(no(route))
def mptcp():
    s=socket.socket(2,1,262); s.settimeout(20); s.connect(('192.0.2.7',443))
print(no(mptcp))
def ping():
    s=socket.socket(2,2,1); s.settimeout(0.2); s.sendto(b'\x08\0\xf7\xff\0\0\0\0',('192.0.2.7',0)); s.recv(64)
print(no(ping))
def advertise(): # as a router would, RFC 4861 section 4.2
    s=socket.socket(10,2,58); s.sendto(b'\x86'+bytes(15),('ff02::1',0,0,socket.if_nametoindex('eth0')))
print(no(advertise), not any(l.split()[9:]==['eth0'] and int(l.split()[1],16)==0 for l in open('/proc/net/ipv6_route')) if os.path.exists('/proc/net/ipv6_route') else True)`,
		"[True, True, True, True, True, True, True, True, True]\nTrue True\nTrue\nTrue\nTrue\nTrue True\n", "allow nft_egress_rule_match"},
	{"what upstream does", `
print(connect('a.test',port('DEAD')))
s=socket.create_connection(('a.test',port('RESET')),timeout=20)
try: s.sendall(b'x'); print(s.recv(1))
except ConnectionResetError: print('reset')
silent=socket.create_connection(('a.test',port('SILENT'))); silent.settimeout(0.2); silent.sendall(b'x')
try: silent.recv(1)
except TimeoutError: print('silence')
s=socket.create_connection(('echo.test',port('ECHO')),timeout=20); s.sendall(b'half'); s.shutdown(1); b=b''
while True:
    r=s.recv(64)
    if not r: break
    b+=r
print(b)`, "Connection refused\nreset\nsilence\nb'hello\\nhalf'\n", "deny upstream_failure"},
	{"questions over many connections", `
many=[]
for i in range(100):
    s=socket.create_connection(('198.18.0.2',53),timeout=20); s.sendall(b'\xff'); many.append(s)
print(dns(q('a.test'))) # over UDP
def closed(s):
    try: return s.recv(1)==b''
    except OSError: return True
print(sum(closed(s) for s in many)==100)`, "(0, 1)\nTrue\n", "allow nft_egress_rule_match"},
}

// badNames has names that lead to addresses which no name may lead to.
func (s *site) badNames() {
	for name, addr := range map[string]string{"loop.test": "127.0.0.2", "zero.test": "0.0.0.0", "meta.test": "169.254.169.254", "ten.test": "10.1.2.3", "cgn.test": "100.64.0.1",
		"six.test": "::1", "link.test": "fe80::1", "ula.test": "fd00::1", "mapped.test": "::ffff:127.0.0.1", "nat.test": "64:ff9b::7f00:1", "tofour.test": "2002:7f00:1::"} {
		s.has(name, netip.MustParseAddr(addr))
	}
}

// attackable are the flags of a cell that attacks, and may reach more.
func (s *site) attackable(more ...string) []string {
	grants := append(more, "a.test:"+s.http+"/http", "a.test:"+s.tls+"/https", "b.test:"+s.http+"/http", "a.test:"+s.dead, "a.test:"+s.reset, "a.test:"+s.silent, "echo.test:"+s.echo)
	flags := s.grant(grants...)
	for n := range s.zone {
		if n != "a.test" && n != "b.test" && n != "echo.test" {
			flags = append(flags, "--net", n+":80")
		}
	}
	return flags
}

// TestNetworkAttacks: what happens in the cell, and which event tells it. On gVisor, which is slow to start, one cell makes them all.
func TestNetworkAttacks(t *testing.T) {
	needs(t, "python3")
	s := newSite(t)
	s.badNames()
	t.Run("from", func(t *testing.T) {
		everywhere(t, func(t *testing.T, u user) {
			if u.backend != "" {
				b := online(t, u)
				b.attacks()
				r, events := b.gated(append(s.attackable(), s.variables()...), "python3", "attacks.py")
				attacked(t, r.ok(t), events)
				return
			}
			for _, c := range networkAttacks {
				t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
					t.Parallel()
					b := online(t, u)
					flags := append(s.attackable(), s.variables()...)
					// A connection that is granted comes last, so that every run shows that the cell is alive.
					script := attackHelp + c.script + "\nassert status(http(b'GET / HTTP/1.0\\r\\nHost: a.test\\r\\n\\r\\n'))==['200']\n"
					r, events := b.gated(flags, "python3", "-c", script)
					if out := r.ok(t); out != c.out {
						t.Errorf("printed %q, want %q\n%s", out, c.out, r.err)
					}
					if got := reasons(events); !got[c.event] {
						t.Errorf("no event says %q: %v", c.event, got)
					}
				})
			}
		})
	})
	s.onlyGranted()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.hosts {
		if !strings.HasPrefix(h, "a.test") {
			t.Errorf("the server got a request for %q", h)
		}
	}
}
