package receiver;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.dao.DataIntegrityViolationException;
import org.springframework.http.HttpHeaders;
import org.springframework.http.HttpStatus;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.ExceptionHandler;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RequestHeader;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.server.ResponseStatusException;

/** Two callback services of CommsEase. A request is verified, committed and acknowledged, in this order. */
@RestController
class Callbacks {
    private static final Logger LOG = LoggerFactory.getLogger(Callbacks.class);
    private static final JsonMapper JSON = JsonMapper.builder()
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
            .build();

    private final Signature signature;
    private final Store store;

    Callbacks(Signature signature, Store store) {
        this.signature = signature;
        this.store = store;
    }

    @PostMapping("/data-sync")
    void dataSync(@RequestHeader HttpHeaders headers, @RequestBody(required = false) byte[] body) {
        Event event = verified(headers, body);
        switch (event.kind()) {
            case "1" -> store.add("data-sync", "message" + event.key("/convType", "/msgidServer"), event.number("/msgTimestamp"), event.payload());
            // Logins and logouts overtake each other: of two, the older timestamp does not count.
            case "2", "3" -> store.become("data-sync", event.key("/accid"), event.time("/timestamp"), event.payload());
            default -> { } // nothing to us; acknowledged all the same
        }
    }

    @PostMapping("/rtc")
    void rtc(@RequestHeader HttpHeaders headers, @RequestBody(required = false) byte[] body) {
        Event event = verified(headers, body);
        switch (event.kind()) {
            case "1", "2" -> store.become("rtc", "room" + event.key("/data/channelId"), event.time("/data/timestamp"), event.payload());
            case "3" -> store.add("rtc", "file" + event.key("/data/channelId", "/data/filename"), null, event.payload());
            case "4", "5" -> store.become("rtc", "user" + event.key("/data/channelId", "/data/uid"), event.time("/data/timestamp"), event.payload());
            default -> { }
        }
    }

    private Event verified(HttpHeaders headers, byte[] body) {
        byte[] bytes = body == null ? new byte[0] : body;
        if (!signature.isValid(headers, bytes)) {
            // Neither 200 nor 500: CommsEase takes both for an acknowledgement.
            throw new ResponseStatusException(HttpStatus.UNAUTHORIZED, "not signed by CommsEase");
        }
        try {
            String text = StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString();
            JsonNode fields = JSON.readTree(text);
            if (fields.isObject()) {
                return new Event(fields, text);
            }
        } catch (CharacterCodingException | JsonProcessingException error) {
            LOG.info("signed, but not readable: {}", error.getMessage());
        }
        throw new ResponseStatusException(HttpStatus.BAD_REQUEST, "not a JSON object");
    }

    @ExceptionHandler
    ResponseEntity<String> unkeepable(DataIntegrityViolationException error) {
        return ResponseEntity.badRequest().body("a value cannot be kept"); // a NUL, say: no repetition makes it better
    }

    @ExceptionHandler
    ResponseEntity<String> unexpected(RuntimeException error) {
        if (error instanceof ResponseStatusException told) {
            return ResponseEntity.status(told.getStatusCode()).body(told.getReason());
        }
        LOG.error("not acknowledged", error);
        return ResponseEntity.status(HttpStatus.SERVICE_UNAVAILABLE).body("try again"); // never 500
    }
}
