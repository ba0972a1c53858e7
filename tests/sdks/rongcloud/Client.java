import io.rong.RongCloud;
import io.rong.messages.TxtMessage;
import io.rong.models.chatroom.ChatroomEntryModel;
import io.rong.models.chatroom.ChatroomModel;
import io.rong.models.group.GroupMember;
import io.rong.models.group.GroupModel;
import io.rong.models.message.PrivateMessage;
import io.rong.models.message.RecallMessage;
import java.util.ArrayList;
import java.util.List;

/** Uses the Java SDK as a team would: messages, a recall, a room and its attributes, a group. */
public class Client {
    public static void main(String[] arguments) throws Exception {
        RongCloud rong = RongCloud.getInstance("test-key", "test-secret", arguments[0]);
        List<String> said = new ArrayList<>();
        for (String text : new String[] {"hello", "change", "forbid"}) {
            PrivateMessage message = new PrivateMessage();
            message.setSenderId("alice");
            message.setTargetId(new String[] {"bob"});
            message.setObjectName("RC:TxtMsg");
            message.setContent(new TxtMessage(text, ""));
            said.add(rong.message.msgPrivate.send(message).toString());
        }
        // It hands no ids of messages out: a team has them from the callbacks.
        RecallMessage recall = new RecallMessage();
        recall.setSenderId("alice").setuId("5FGT-7VA9-G4DD-4V5P").setSentTime("1500000000000");
        recall.setTargetId("bob");
        said.add(rong.message.msgPrivate.recall(recall).toString());
        said.add(rong.chatroom.create(new ChatroomModel[] {
            new ChatroomModel().setId("room-1").setName("a room & more")}).toString());
        for (String value : new String[] {"1", "2"}) {
            ChatroomEntryModel entry = new ChatroomEntryModel();
            entry.setChatroomId("room-1").setUserId("alice").setKey("score").setValue(value);
            said.add(rong.chatroom.entry.set(entry).toString());
        }
        ChatroomEntryModel gone = new ChatroomEntryModel();
        gone.setChatroomId("room-1").setUserId("alice").setKey("score");
        said.add(rong.chatroom.entry.query(gone).toString());
        said.add(rong.chatroom.entry.remove(gone).toString());
        GroupMember[] members = {new GroupMember().setId("alice"), new GroupMember().setId("bob")};
        said.add(rong.group.create(new GroupModel().setId("group-1").setName("a group").setMembers(members)).toString());
        System.out.println("[" + String.join(",", said) + "]");
    }
}
