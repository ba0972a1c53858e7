// A receiver that only answers 200, at the least cost, and says in the end what it got.
//
// It listens on the port of this machine that is its argument, 0 for any that is free, writes the port
// as its first line, and serves until its input ends. Then it writes one JSON object: how many requests came, how many bodies were unlike all
// others, the seconds of a processor that it took, and every hundredth request as it was, in base64.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"io"
	"net"
	"os"
	"runtime"
	"strconv"
	"sync"
	"syscall"
)

const sampled, kept = 100, 200

var (
	answer = []byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	seed   = maphash.MakeSeed()
	lock   sync.Mutex
	bodies = make(map[uint64]struct{}, 1<<20)
	result struct {
		Received int      `json:"received"`
		Distinct int      `json:"distinct"`
		CPU      float64  `json:"cpu"`
		Sample   [][]byte `json:"sample"`
	}
)

// whole returns where the head of a request ends, and whether all of its body is there.
func whole(data []byte) (int, bool) {
	end := bytes.Index(data, []byte("\r\n\r\n"))
	at := bytes.Index(data, []byte("Content-Length: "))
	if end < 0 || at < 0 || at > end {
		return 0, false
	}
	at += len("Content-Length: ")
	size, err := strconv.Atoi(string(data[at : at+bytes.IndexByte(data[at:], '\r')]))
	return end + 4, err == nil && len(data) == end+4+size
}

func serve(connection net.Conn) {
	defer connection.Close()
	buffer := make([]byte, 1<<16)
	length := 0
	for {
		count, err := connection.Read(buffer[length:])
		if err != nil {
			return
		}
		length += count
		head, complete := whole(buffer[:length])
		if !complete {
			continue
		}
		sum := maphash.Bytes(seed, buffer[head:length])
		lock.Lock()
		bodies[sum] = struct{}{}
		if result.Received++; result.Received%sampled == 0 && len(result.Sample) < kept {
			result.Sample = append(result.Sample, bytes.Clone(buffer[:length]))
		}
		lock.Unlock()
		length = 0
		if _, err := connection.Write(answer); err != nil {
			return
		}
	}
}

func main() {
	runtime.GOMAXPROCS(1)
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Args[1])
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go serve(connection)
		}
	}()
	io.Copy(io.Discard, os.Stdin)
	lock.Lock()
	result.Distinct = len(bodies)
	var used syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &used)
	result.CPU = float64(used.Utime.Nano()+used.Stime.Nano()) / 1e9
	json.NewEncoder(os.Stdout).Encode(result)
}
