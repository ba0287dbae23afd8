// A session with Segment's SDK for Go.
package main

import (
	"fmt"
	"log"
	"os"
	"strconv"
	"time"

	"github.com/segmentio/analytics-go/v3"
)

func main() {
	user, account := os.Getenv("USER_ID"), os.Getenv("ACCOUNT_ID")
	tracks, _ := strconv.Atoi(os.Getenv("TRACKS"))
	pause, _ := strconv.Atoi(os.Getenv("PAUSE_MS"))

	client, err := analytics.NewWithConfig(os.Getenv("WRITE_KEY"), analytics.Config{Endpoint: os.Getenv("INGEST")})
	if err != nil {
		log.Fatal(err)
	}

	client.Enqueue(analytics.Identify{
		UserId: user,
		Traits: analytics.NewTraits().SetName("Ann").Set("plan", "pro"),
	})
	client.Enqueue(analytics.Group{
		UserId:  user,
		GroupId: account,
		Traits:  analytics.NewTraits().SetName("Acme").Set("seats", 12),
	})
	for n := 1; n <= tracks; n++ {
		client.Enqueue(analytics.Track{
			UserId:     user,
			Event:      "Report Exported",
			Properties: analytics.NewProperties().Set("n", n),
		})
		time.Sleep(time.Duration(pause) * time.Millisecond)
	}
	for n := 1; n <= 6; n++ {
		client.Enqueue(analytics.Page{
			UserId:     user,
			Name:       fmt.Sprintf("Page %d", n),
			Properties: analytics.NewProperties().SetURL(fmt.Sprintf("https://app.example/%d", n)),
		})
	}
	client.Close()
}
