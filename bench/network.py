"""Server, client and stop-watch of network.sh and flat.sh.

network.py                   serves; prints its port and that of a resolver. The first byte says what: p is one byte back, d sends what is asked,
                             u takes it, e sends back what comes.
network.py HOST PORT         asks, and prints how long it took
network.py short HOST PORT SECONDS
                             makes short connections, 95 a second, and prints how many there were
network.py watch PID         prints what a process used, when it has ended
network.py start A + B       runs two commands alternately, and prints how long they took
"""
import os, socket, statistics, subprocess, sys, threading, time

SIZE = 256 << 20


def serve(c):
    c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with c:
        want = c.recv(1)
        if want == b"p":
            c.sendall(b"x")
        elif want == b"e":
            while b := c.recv(4096):
                c.sendall(b)
        elif want == b"d":
            block, left = bytes(1 << 18), SIZE
            while left:
                left -= c.send(block[: min(left, len(block))])
        elif want == b"u":
            left = SIZE
            buf = bytearray(1 << 18)
            while left:
                n = c.recv_into(buf)
                if not n:
                    return
                left -= n
            c.sendall(b"x")


def names(d):
    """Answers every question with 127.0.0.1: a resolver for one name."""
    while True:
        q, at = d.recvfrom(512)
        end = q.index(0, 12) + 5
        a = q[end - 3] == 1  # else the name has no such record
        reply = q[:2] + b"\x81\x80\0\1" + (b"\0\1" if a else b"\0\0") + bytes(4) + q[12:end]
        d.sendto(reply + (b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x7f\0\0\1" if a else b""), at)


def server():
    d = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    d.bind(("127.0.0.1", 0))
    threading.Thread(target=names, args=(d,), daemon=True).start()
    s = socket.create_server(("127.0.0.1", 0), backlog=512)
    print(s.getsockname()[1], d.getsockname()[1], flush=True)
    while True:
        c, _ = s.accept()
        threading.Thread(target=serve, args=(c,), daemon=True).start()


def client(host, port):
    host = socket.gethostbyname(host)  # names are not what is compared

    def ask(what):
        s = socket.create_connection((host, port))
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        s.sendall(what)
        return s

    def short():
        t = time.perf_counter()
        with ask(b"p") as s:
            s.recv(1)
            return time.perf_counter() - t

    for _ in range(20):
        short()
        time.sleep(0.012)  # below every limit of new connections a second
    times = []
    for _ in range(300):
        times.append(short())
        time.sleep(0.012)
    times.sort()
    rates = []
    for what in (b"d", b"u"):
        t = time.perf_counter()
        with ask(what) as s:
            left, buf, block = SIZE, bytearray(1 << 18), bytes(1 << 18)
            while left:
                left -= s.recv_into(buf) if what == b"d" else s.send(block[: min(left, len(block))])
            if what == b"u":
                s.recv(1)
        rates.append(SIZE / (time.perf_counter() - t) / (1 << 20))
    with ask(b"e") as s:
        t = time.perf_counter()
        for _ in range(2000):
            s.sendall(b"request")
            s.recv(4096)
        requests = 2000 / (time.perf_counter() - t)
    many = []
    for _ in range(200):
        many.append(ask(b"e"))
        time.sleep(0.012)
    t = time.perf_counter()
    for s in many:
        s.sendall(b"request")
    alive = sum(s.recv(4096) == b"request" for s in many)
    together = time.perf_counter() - t
    print("connect and first byte %.2f ms (median of 300; tenth %.2f, least %.2f), from the server %.0f MiB/s, to it %.0f MiB/s, %.0f requests/s one after the other, %d connections at once answered in %.0f ms"
          % (statistics.median(times) * 1e3, times[30] * 1e3, times[0] * 1e3, *rates, requests, alive, together * 1e3), flush=True)


def short(host, port, seconds):
    host = socket.gethostbyname(host)
    now = began = time.monotonic()
    n = 0
    while now - began < seconds:
        with socket.create_connection((host, port)) as s:
            s.sendall(b"p")
            s.recv(1)
        n += 1
        time.sleep(max(0, now + 1 / 95 - time.monotonic()))  # never more than that in a second, also after one that was slow
        now = time.monotonic()
    print("%d connections" % n, flush=True)


def watch(pid):
    used = peak = ""
    while True:
        try:
            f = open("/proc/%s/stat" % pid).read().rsplit(")", 1)[1].split()
            status = open("/proc/%s/status" % pid).read()
        except OSError:
            break
        if f[0] == "Z":
            break
        used = "%.2f s user, %.2f s system" % tuple(int(x) / os.sysconf("SC_CLK_TCK") for x in f[11:13])
        for line in status.splitlines():
            if line.startswith("VmHWM"):
                peak = "%.1f MiB" % (int(line.split()[1]) / 1024)
        time.sleep(0.02)
    print("             of the way: %s, %s at most" % (used, peak), flush=True)


def start(args):
    at = args.index("+")
    commands = args[:at], args[at + 1 :]
    times = [], []
    for _ in range(40):
        for c, t in zip(commands, times):
            began = time.perf_counter()
            subprocess.run(c, check=True)
            t.append(time.perf_counter() - began)
    for what, t in zip(("without a rule", "with one"), times):
        print("start to end of /bin/true, %-14s %.2f ms (median of 40; least %.2f)" % (what, statistics.median(t) * 1e3, min(t) * 1e3))


if len(sys.argv) == 1:
    server()
elif sys.argv[1] == "short":
    short(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
elif sys.argv[1] == "watch":
    watch(sys.argv[2])
elif sys.argv[1] == "start":
    start(sys.argv[2:])
else:
    client(sys.argv[1], int(sys.argv[2]))
