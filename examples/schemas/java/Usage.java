import callbacks.commsease_login.CommseaseLogin;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.File;

/** Reads the documented samples into the classes that types.js has made of the schemas, and writes them again. */
class Usage {
    public static void main(String[] schemas) throws Exception {
        ObjectMapper json = new ObjectMapper();
        JsonNode sample = json.readTree(new File(schemas[0], "commsease/login.schema.json")).get("examples").get(0);
        CommseaseLogin login = callbacks.commsease_login.Converter.fromJsonString(sample.toString());
        System.out.println(login.getAccid() + " " + login.getClientType());
        same(sample, json.readTree(callbacks.commsease_login.Converter.toJsonString(login)));

        sample = json.readTree(new File(schemas[0], "rongcloud/chatroom-kv.schema.json")).get("examples").get(0);
        var changed = callbacks.rongcloud_chatroom_kv.Converter.fromJsonString(sample.toString());
        System.out.println(changed.getChatroomID());
        same(sample, json.readTree(callbacks.rongcloud_chatroom_kv.Converter.toJsonString(changed)));
    }

    /** Fails if a field of the sample is lost or changed on the way. */
    private static void same(JsonNode sample, JsonNode written) {
        sample.fields().forEachRemaining(field -> {
            if (!field.getValue().equals(written.get(field.getKey()))) {
                throw new AssertionError(field + " came back as " + written.get(field.getKey()));
            }
        });
    }
}
