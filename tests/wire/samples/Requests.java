// Sends requests one after the other through one client of Java's standard library, and prints each answer on a line.
//
// java Requests.java HEADER KEY [METHOD URL BODY]...   (an empty BODY: none)
//
// Left as it comes, this client offers HTTP/2 in the clear with every request (Connection: Upgrade), bodies included.

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;

class Requests {
    public static void main(String[] given) throws Exception {
        var client = HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(10)).build();
        for (int at = 2; at + 2 < given.length; at += 3) {
            var body = given[at + 2].isEmpty() ? BodyPublishers.noBody() : BodyPublishers.ofString(given[at + 2]);
            var request = HttpRequest.newBuilder(URI.create(given[at + 1]))
                .timeout(Duration.ofSeconds(20))
                .header(given[0], given[1])
                .method(given[at], body);
            if (!given[at + 2].isEmpty()) {
                request.header("Content-Type", "application/json");
            }
            var response = client.send(request.build(), BodyHandlers.ofString());
            System.out.println(response.statusCode() + " " + response.body());
        }
    }
}
