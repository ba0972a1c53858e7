<?php
// A receiver for two callback services of Tencent: what has happened in group chats (/after), and in the rooms of the
// room kit (/room). A request is verified, committed and acknowledged, in this order.

declare(strict_types=1);

const FRESH = 60; // seconds ("Webhook Configuration")
const LARGEST_BODY = 1 << 20;

final class NotUnderstood extends RuntimeException {}

function setting(string $name): string
{
    $value = getenv($name);
    if ($value === false || $value === '') {
        throw new LogicException("$name is not set");
    }
    return $value;
}

function answer(int $status, int $code = 0, string $info = ''): never
{
    http_response_code($status);
    header('Content-Type: application/json');
    exit(json_encode(['ActionStatus' => $code ? 'FAIL' : 'OK', 'ErrorInfo' => $info, 'ErrorCode' => $code]));
}

/** The values of a query parameter: $_GET has only the last of several. */
function values(string $name): array
{
    $found = [];
    foreach (explode('&', $_SERVER['QUERY_STRING'] ?? '') as $pair) {
        [$key, $value] = array_map(urldecode(...), explode('=', $pair, 2) + ['', '']);
        if ($key === $name) {
            $found[] = $value;
        }
    }
    return $found;
}

/** Whether Sign is sha256(token + RequestTime), a minute old at most; the body is not covered ("Webhook Overview"). */
function from_tencent(): bool
{
    $once = fn(string $name): string => count($found = values($name)) === 1 ? $found[0] : '';
    $time = $once('RequestTime');
    return hash_equals(hash('sha256', setting('TENCENT_TOKEN') . $time), $once('Sign'))
        && hash_equals(setting('TENCENT_SDK_APPID'), $once('SdkAppid'))
        && preg_match('/^[0-9]{1,12}$/D', $time)
        && abs((int) $time - time()) <= FRESH;
}

/** A payload, read without trust: any field may be missing, and numbers come as texts too. */
final class Event
{
    private array $fields;
    public readonly string $command;

    public function __construct(public readonly string $payload)
    {
        try {
            $found = json_decode($payload, false, 64, JSON_THROW_ON_ERROR | JSON_BIGINT_AS_STRING);
        } catch (JsonException) {
            throw new NotUnderstood('not JSON');
        }
        if (!is_object($found)) {
            throw new NotUnderstood('no object');
        }
        $this->fields = json_decode($payload, true, 64, JSON_BIGINT_AS_STRING);
        $this->command = $this->text('CallbackCommand');
        foreach (values('CallbackCommand') as $command) { // neither URL nor body is signed; they must at least agree
            if ($command !== $this->command) {
                throw new NotUnderstood('URL and body name different commands');
            }
        }
    }

    public function text(string $name): string
    {
        return $this->plain($name, $this->fields[$name] ?? null);
    }

    public function number(string $name): int
    {
        $found = filter_var($this->text($name), FILTER_VALIDATE_INT);
        return $found === false ? throw new NotUnderstood("$name: no number") : $found;
    }

    /** The texts in a list. */
    public function texts(string $name): array
    {
        $found = $this->fields[$name] ?? [];
        if (!is_array($found) || !array_is_list($found)) {
            throw new NotUnderstood("$name: no list");
        }
        return array_map(fn($one) => $this->plain($name, $one), $found);
    }

    private function plain(string $name, mixed $value): string
    {
        return match (true) {
            $value === null => '',
            is_bool($value), is_array($value) => throw new NotUnderstood("$name: no text"),
            is_float($value) && floor($value) === $value => sprintf('%.0f', $value),
            is_string($value) && str_contains($value, "\0") => throw new NotUnderstood("$name: holds a NUL"),
            default => (string) $value,
        };
    }
}

/** What is kept. The database decides what is new and what is newer; asked first and written afterwards, two requests
 *  at the same time would both be right. */
final class Store
{
    private PDO $database;

    public function __construct(string $dsn)
    {
        ini_set('mysqlnd.net_read_timeout', '1'); // seconds: Tencent waits for 2
        $this->database = new PDO($dsn, options: [
            PDO::ATTR_PERSISTENT => true, // kept open from request to request
            PDO::ATTR_TIMEOUT => 1,
            // Two that insert beside each other need not wait for each other.
            PDO::MYSQL_ATTR_INIT_COMMAND => 'SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED',
        ]);
    }

    /** Not INSERT IGNORE, which would also cut what is too long. */
    public function add_message(string $room, string $topic, int $seq, string $payload): void
    {
        $this->run(
            'INSERT INTO message VALUES (?, ?, ?, ?) ON DUPLICATE KEY UPDATE seq = message.seq',
            $room, $topic, $seq, $payload,
        );
    }

    /** Who left stays, marked, so that a late, older entry does not bring them back. `at` comes last: MySQL sets one
     *  after the other. */
    public function set_member(string $room, string $account, int $at, bool $present, string $payload): void
    {
        $this->run(
            'INSERT INTO member VALUES (?, ?, ?, ?, ?) ON DUPLICATE KEY UPDATE'
            . ' present = IF(VALUES(at) > member.at, VALUES(present), member.present),'
            . ' payload = IF(VALUES(at) > member.at, VALUES(payload), member.payload),'
            . ' at = GREATEST(VALUES(at), member.at)',
            $room, $account, $at, (int) $present, $payload,
        );
    }

    /** Of two that wait for each other's rows MySQL ends one, and that one tries again. */
    public function all_or_none(callable $work, int $tries = 3): void
    {
        $this->database->beginTransaction();
        try {
            $work();
            $this->database->commit();
        } catch (Throwable $error) {
            $this->database->rollBack();
            if ($tries > 1 && $error instanceof PDOException && $error->getCode() === '40001') {
                $this->all_or_none($work, $tries - 1);
                return;
            }
            throw $error;
        }
    }

    private function run(string $statement, mixed ...$values): void
    {
        $this->database->prepare($statement)->execute($values);
    }
}

function after(Event $event, Store $store): void
{
    if ($event->command === 'Group.CallbackAfterSendMsg') {
        $store->add_message($event->text('GroupId'), $event->text('TopicId'), $event->number('MsgSeq'), $event->payload);
    } // what else there is is nothing to us, and acknowledged
}

function room(Event $event, Store $store): void
{
    $present = match ($event->command) {
        'Room.CallbackAfterMemberEnter' => true,
        'Room.CallbackAfterMemberLeave' => false,
        default => null,
    };
    if ($present === null) {
        return;
    }
    $store->all_or_none(function () use ($event, $store, $present) {
        $accounts = $event->texts('MemberList_Account');
        sort($accounts); // in one order everywhere, so that two requests never wait for each other's rows
        foreach ($accounts as $account) {
            $store->set_member($event->text('RoomId'), $account, $event->number('EventTime'), $present, $event->payload);
        }
    });
}

try {
    $act = match (parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH)) {
        '/after' => after(...),
        '/room' => room(...),
        default => answer(404, 1, 'nothing is here'),
    };
    if ($_SERVER['REQUEST_METHOD'] !== 'POST') {
        answer(405, 1, 'POST only');
    }
    if (!from_tencent()) {
        answer(401, 1, 'not signed by Tencent');
    }
    $body = file_get_contents('php://input', length: LARGEST_BODY + 1);
    if (strlen($body) > LARGEST_BODY) {
        answer(413, 1, 'too large');
    }
    $act(new Event($body), new Store(setting('DATABASE_DSN')));
    answer(200);
} catch (NotUnderstood $error) {
    answer(400, 1, $error->getMessage());
} catch (Throwable $error) {
    error_log("not acknowledged: $error");
    answer(503, 1, 'try again');
}
