package delivery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"

	"cellos.io/cellos/outbound"
	"cellos.io/cellos/secret"
)

// clientTime is how long Get waits: longer than the other side.
const clientTime = 2 * RequestTime

// maxAnswer bounds an answer: a value of 1 MiB, each byte of it escaped.
const maxAnswer = 6<<20 + 1024

// Get asks for a secret on the socket of a cell. An error of the other side is its text.
func Get(ctx context.Context, socket, token, key string) (secret.Value, error) {
	ctx, cancel := context.WithTimeout(ctx, clientTime)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return secret.Value{}, fmt.Errorf("asking for the secret %s: %w", key, err)
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	conn.SetDeadline(deadline)
	line, err := json.Marshal(request{token, key})
	if err != nil {
		return secret.Value{}, err
	}
	if _, err := conn.Write(append(line, '\n')); err != nil {
		return secret.Value{}, fmt.Errorf("asking for the secret %s: %w", key, err)
	}
	body, err := outbound.Read(conn, maxAnswer)
	if err != nil {
		return secret.Value{}, fmt.Errorf("asking for the secret %s: %w", key, err)
	}
	defer clear(body)
	var answer struct {
		Value *secret.Value `json:"value"`
		Error *string       `json:"error"`
	}
	switch err := json.Unmarshal(body, &answer); {
	case err == nil && answer.Error != nil:
		return secret.Value{}, errors.New(*answer.Error)
	case err != nil || answer.Value == nil:
		return secret.Value{}, fmt.Errorf("asking for the secret %s: the other side closed the connection", key)
	}
	return *answer.Value, nil
}
