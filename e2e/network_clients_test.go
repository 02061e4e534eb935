package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

const clientSource = `package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
)

func main() {
	c, err := net.Dial("tcp", os.Args[1])
	if err != nil {
		fmt.Println("refused")
		return
	}
	host, _, _ := net.SplitHostPort(os.Args[1])
	fmt.Fprintf(c, "GET / HTTP/1.0\r\nHost: %s\r\n\r\n", host)
	last := ""
	for in := bufio.NewScanner(c); in.Scan(); {
		last = in.Text()
	}
	fmt.Println(last)
}
`

// staticClient builds a program that has its own resolver and no libc.
func staticClient(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	src, bin := filepath.Join(dir, "client.go"), filepath.Join(dir, "client")
	if err := os.WriteFile(src, []byte(clientSource), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "build", "-o", bin, src)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GO111MODULE=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building a client: %v\n%s", err, out)
	}
	return bin
}

// muslSource connects as soon as it is there, with the resolver of musl, which asks for both kinds of addresses at once.
const muslSource = `#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>

int main(int argc, char **argv) {
	struct addrinfo hint = {.ai_socktype = SOCK_STREAM}, *a;
	char b[65536], *last = b;
	int s, n, all = 0;
	if (getaddrinfo(argv[1], argv[2], &hint, &a) || (s = socket(a->ai_family, SOCK_STREAM, 0)) < 0 || connect(s, a->ai_addr, a->ai_addrlen)) {
		puts("refused");
		return 0;
	}
	dprintf(s, "GET / HTTP/1.0\r\nHost: %s\r\n\r\n", argv[1]);
	while (all < sizeof b - 1 && (n = read(s, b + all, sizeof b - 1 - all)) > 0)
		all += n;
	b[all] = 0;
	for (char *p = b; *p; p++)
		if (p > b && p[-1] == '\n')
			last = p;
	fputs(last, stdout);
}
`

// muslClient builds a program of C without glibc; empty where there is no compiler for it.
func muslClient(t *testing.T) string {
	t.Helper()
	if _, err := os.Stat("/usr/bin/musl-gcc"); err != nil {
		return ""
	}
	dir := t.TempDir()
	src, bin := filepath.Join(dir, "client.c"), filepath.Join(dir, "client")
	if err := os.WriteFile(src, []byte(muslSource), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("musl-gcc", "-static", "-o", bin, src).CombinedOutput(); err != nil {
		t.Fatalf("building a client: %v\n%s", err, out)
	}
	return bin
}
