// A receiver for two callback services of RongCloud: chat room attributes (/chatroom-kv) and chat room status
// (/chatroom-status). A request is verified, committed and acknowledged, in this order.
package main

import (
	"cmp"
	"context"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
	"unicode/utf8"
)

const (
	largestBody = 8 << 20         // 500 values of 4,096 characters take 6 MiB
	patience    = 3 * time.Second // RongCloud waits for 5
	oldest      = time.Hour       // our own limit: network trouble delays a delivery by five minutes
)

var errNotRongCloud = errors.New("not signed by RongCloud")

type receiver struct {
	store       *store
	key, secret string
}

// verify checks sha1(AppSecret + nonce + timestamp), which does not cover the body ("Server Callback Signature").
func (r *receiver) verify(query url.Values) error {
	once := func(name string) string {
		if len(query[name]) != 1 {
			return ""
		}
		return query[name][0]
	}
	nonce, stamp := once("nonce"), once("timestamp")
	if _, there := query["timestamp"]; !there {
		stamp = once("signTimestamp") // its name until 2021
	}
	sum := sha1.Sum([]byte(r.secret + nonce + stamp))
	expected := hex.EncodeToString(sum[:])
	millis, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || nonce == "" || time.Since(time.UnixMilli(millis)).Abs() > oldest ||
		subtle.ConstantTimeCompare([]byte(once("signature")), []byte(expected)) != 1 ||
		subtle.ConstantTimeCompare([]byte(once("appKey")), []byte(r.key)) != 1 {
		return errNotRongCloud
	}
	return nil
}

// attribute reads an entry of "Chatroom Attribute Synchronization (KV)".
func attribute(entry []byte) ([]change, error) {
	var e struct {
		ChatroomID string      `json:"chatroomId"`
		OptType    json.Number `json:"optType"`
		Key        string      `json:"key"`
		Version    json.Number `json:"version"`
	}
	if err := json.Unmarshal(entry, &e); err != nil {
		return nil, err
	}
	version, err := e.Version.Int64()
	if err != nil {
		return nil, err
	}
	c := change{feed: "chatroom-kv", room: e.ChatroomID, name: e.Key, version: version, payload: entry}
	switch e.OptType.String() {
	case "1": // set
	case "2": // deleted
		c.removed = true
	case "3": // all of the room's deleted
		c.removed, c.all = true, true
	default: // not known yet: nothing to us
		return nil, nil
	}
	return []change{c}, nil
}

// status reads an entry of "Chatroom Status Callback".
func status(entry []byte) ([]change, error) {
	var e struct {
		ChatRoomID string      `json:"chatRoomId"`
		UserIDs    []string    `json:"userIds"`
		Type       json.Number `json:"type"`
		Time       json.Number `json:"time"`
	}
	if err := json.Unmarshal(entry, &e); err != nil {
		return nil, err
	}
	at, err := e.Time.Int64()
	if err != nil {
		return nil, err
	}
	c := change{feed: "chatroom-status", room: e.ChatRoomID, version: at, payload: entry}
	switch e.Type.String() {
	case "0", "1": // created, joined
	case "2": // left
		c.removed = true
	case "3": // destroyed
		c.removed, c.all = true, true
	default:
		return nil, nil
	}
	if len(e.UserIDs) == 0 { // the room itself
		return []change{c}, nil
	}
	var found []change
	for _, user := range e.UserIDs {
		c.name = user
		found = append(found, c)
	}
	return found, nil
}

func (r *receiver) receive(read func(entry []byte) ([]change, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		if err := r.verify(req.URL.Query()); err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, largestBody))
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
			return
		}
		changes, wrong := changesIn(body, read)
		if err != nil || wrong != nil {
			http.Error(w, "not what the service sends", http.StatusBadRequest)
			return
		}
		ctx, cancel := context.WithTimeout(req.Context(), patience)
		defer cancel()
		if err := r.store.apply(ctx, changes); unkeepable(err) {
			http.Error(w, "a value cannot be kept", http.StatusBadRequest)
		} else if err != nil {
			log.Printf("not acknowledged: %v", err)
			http.Error(w, "try again", http.StatusServiceUnavailable)
		}
	}
}

func changesIn(body []byte, read func(entry []byte) ([]change, error)) ([]change, error) {
	if !utf8.Valid(body) { // else json would put U+FFFD in its place
		return nil, errors.New("not UTF-8")
	}
	var entries []json.RawMessage
	if err := json.Unmarshal(body, &entries); err != nil {
		return nil, err
	}
	if entries == nil {
		return nil, errors.New("null")
	}
	var all []change
	for _, entry := range entries {
		changes, err := read(entry)
		if err != nil {
			return nil, err
		}
		all = append(all, changes...)
	}
	return all, nil
}

func main() {
	setting := func(name string) string {
		value := os.Getenv(name)
		if value == "" {
			log.Fatalf("%s is not set", name)
		}
		return value
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	store, err := openStore(ctx, setting("DATABASE_URL"))
	if err != nil {
		log.Fatal(err)
	}
	r := &receiver{store, setting("RONGCLOUD_APP_KEY"), setting("RONGCLOUD_APP_SECRET")}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /chatroom-kv", r.receive(attribute))
	mux.HandleFunc("POST /chatroom-status", r.receive(status))
	server := &http.Server{
		Addr:              net.JoinHostPort(cmp.Or(os.Getenv("HOST"), "127.0.0.1"), setting("PORT")),
		Handler:           mux,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
	}
	go func() {
		if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
			log.Fatal(err)
		}
	}()
	<-ctx.Done()
	// What has arrived is still answered.
	if err := server.Shutdown(context.Background()); err != nil {
		log.Print(err)
	}
	store.pool.Close()
}
