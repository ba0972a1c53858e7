import java.util.List;
import mock.ApiClient;
import mock.api.AppsApi;
import mock.api.DeliveriesApi;
import mock.api.EventsApi;
import mock.api.VerifyApi;
import mock.model.AppSettings;
import mock.model.Expectation;
import mock.model.NewEvents;
import mock.model.NewEventsEventsInner;
import mock.model.Verification;

/** Drives a mock by its OpenAPI document: Drive MOCK RECEIVER. */
public class Drive {
    public static void main(String[] arguments) throws Exception {
        var client = new ApiClient();
        client.updateBaseUri(arguments[0]);
        var app = "java";
        var settings = new AppSettings().provider(AppSettings.ProviderEnum.COMMSEASE).endpoint(arguments[1]);
        new AppsApi(client).putApp(app, settings);
        var event = new NewEventsEventsInner().type(NewEventsEventsInner.TypeEnum.COMMSEASE_LOGIN);
        var accepted = new EventsApi(client)
            .acceptEvents(app, new NewEvents().events(List.of(event)).faults(List.of("lose-ack")), null);

        var login = new Expectation().app(app).eventType("commsease.login").exactly(1L);
        var verify = new VerifyApi(client);
        var acked = new Verification().addExpectItem(login.state(Expectation.StateEnum.ACKED));
        var verified = verify.verify(acked.withinSeconds(new java.math.BigDecimal(30)));
        var attempts = new DeliveriesApi(client).listAttempts(accepted.getDeliveries().get(0), null, null);
        var dropped = new Verification().addExpectItem(login.state(Expectation.StateEnum.DROPPED));
        var difference = verify.verify(dropped).getFound().get(0).getNear().get(0).getDifferences().get(0);

        System.out.println("holds: " + verified.getHolds());
        attempts.getItems().forEach(attempt -> System.out.println("attempt: " + attempt.getOutcome()));
        System.out.println(difference.getField() + " is " + difference.getFound() + ", not " + difference.getWanted());
    }
}
