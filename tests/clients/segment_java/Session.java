import com.segment.analytics.Analytics;
import com.segment.analytics.messages.GroupMessage;
import com.segment.analytics.messages.IdentifyMessage;
import com.segment.analytics.messages.PageMessage;
import com.segment.analytics.messages.TrackMessage;
import java.util.Map;

/** A session with Segment's SDK for Java. */
public class Session {
  public static void main(String[] arguments) throws InterruptedException {
    String user = System.getenv("USER_ID");
    String account = System.getenv("ACCOUNT_ID");

    Analytics analytics =
        Analytics.builder(System.getenv("WRITE_KEY")).endpoint(System.getenv("INGEST")).build();

    analytics.enqueue(IdentifyMessage.builder().userId(user).traits(Map.of("name", "Ann", "plan", "pro")));
    analytics.enqueue(GroupMessage.builder(account).userId(user).traits(Map.of("name", "Acme", "seats", 12)));
    for (int n = 1; n <= Integer.parseInt(System.getenv("TRACKS")); n++) {
      analytics.enqueue(TrackMessage.builder("Report Exported").userId(user).properties(Map.of("n", n)));
      Thread.sleep(Long.parseLong(System.getenv("PAUSE_MS")));
    }
    for (int n = 1; n <= 6; n++) {
      analytics.enqueue(
          PageMessage.builder("Page " + n).userId(user).properties(Map.of("url", "https://app.example/" + n)));
    }
    analytics.flush();
    analytics.shutdown();
  }
}
