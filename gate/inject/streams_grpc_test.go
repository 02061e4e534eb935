package inject

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// gRPC, of another implementation of HTTP/2 on both sides: calls of one message, of many in both directions, their metadata and their failures pass.
// A server that compresses its messages because the client does is refused.
func TestGRPC(t *testing.T) {
	said := func(ctx context.Context) string {
		md, _ := metadata.FromIncomingContext(ctx)
		return strings.Join(md["authorization"], " ")
	}
	desc := grpc.ServiceDesc{ServiceName: "test.Echo", HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "One", Handler: func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			in := &wrapperspb.StringValue{}
			if err := decode(in); err != nil {
				return nil, err
			}
			if in.Value == "fail" {
				return nil, status.Error(codes.PermissionDenied, "not with "+said(ctx))
			}
			return wrapperspb.String(in.Value + " " + said(ctx)), nil
		}}},
		Streams: []grpc.StreamDesc{{StreamName: "Many", ClientStreams: true, ServerStreams: true, Handler: func(_ any, s grpc.ServerStream) error {
			s.SetTrailer(metadata.Pairs("late", said(s.Context())))
			for {
				in := &wrapperspb.StringValue{}
				if s.RecvMsg(in) != nil {
					return nil
				}
				if err := s.SendMsg(wrapperspb.String(in.Value + " " + said(s.Context()))); err != nil {
					return err
				}
			}
		}}}}
	b := newBench(t, nil)
	cert, roots := issuer(t, "a.test")
	b.opener.roots = roots
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.at = l.Addr().String()
	srv := grpc.NewServer(grpc.Creds(credentials.NewServerTLSFromCert(&tls.Certificate{Certificate: cert.Certificate, PrivateKey: cert.PrivateKey})))
	srv.RegisterService(&desc, nil)
	go srv.Serve(l)
	t.Cleanup(srv.Stop)

	c, err := grpc.NewClient("passthrough:///a.test", grpc.WithTransportCredentials(credentials.NewTLS(b.trust())), grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) { return b.dial() }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "mine")
	stars := " Bearer " + strings.Repeat("*", len(value))
	out := &wrapperspb.StringValue{}
	for _, name := range []string{"one", strings.Repeat("a long one ", 100_000)} {
		if err := c.Invoke(ctx, "/test.Echo/One", wrapperspb.String(name), out); err != nil || out.Value != name+stars {
			t.Errorf("%.20s: %.60q, %.100v", name, out.Value, err)
		}
	}
	if err := c.Invoke(ctx, "/test.Echo/One", wrapperspb.String("zipped"), out, grpc.UseCompressor(gzip.Name)); status.Code(err) != codes.Unavailable {
		t.Errorf("a message that came compressed was answered so: %v", err)
	}
	b.said(t, CodeAnswer+": it is encoded")
	err = c.Invoke(ctx, "/test.Echo/One", wrapperspb.String("fail"), out)
	if s := status.Convert(err); s.Code() != codes.PermissionDenied || !strings.HasPrefix(s.Message(), "not with Bearer ") || strings.Contains(s.Message(), value) {
		t.Errorf("a call that fails: %v", err)
	}
	if err := c.Invoke(ctx, "/test.Echo/None", wrapperspb.String("x"), out); status.Code(err) != codes.Unimplemented {
		t.Errorf("a method that is not there: %v", err)
	}
	many, err := c.NewStream(ctx, &desc.Streams[0], "/test.Echo/Many")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		text := fmt.Sprint("message ", i)
		if err := many.SendMsg(wrapperspb.String(text)); err != nil {
			t.Fatal(err)
		}
		if err := many.RecvMsg(out); err != nil || out.Value != text+stars {
			t.Fatalf("said %q, heard %q, %v", text, out.Value, err)
		}
	}
	many.CloseSend()
	if err := many.RecvMsg(out); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
	if md := many.Trailer(); len(md["late"]) != 1 || !strings.HasPrefix(md["late"][0], "Bearer ") || strings.Contains(fmt.Sprint(md), value) {
		t.Errorf("at the end came %v", md)
	}
	if b.dials != 1 {
		t.Errorf("it took %d connections", b.dials)
	}
}
