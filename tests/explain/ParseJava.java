import com.sun.source.util.JavacTask;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import javax.tools.DiagnosticCollector;
import javax.tools.JavaCompiler;
import javax.tools.JavaFileObject;
import javax.tools.StandardJavaFileManager;
import javax.tools.ToolProvider;

/** Parses Java files, without what they refer to, and prints what is wrong with them. */
class ParseJava {
    public static void main(String[] files) throws Exception {
        JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
        DiagnosticCollector<JavaFileObject> found = new DiagnosticCollector<>();
        try (StandardJavaFileManager manager = compiler.getStandardFileManager(found, null, null)) {
            List<Path> paths = Arrays.stream(files).map(Path::of).toList();
            ((JavacTask) compiler.getTask(null, manager, found, null, null, manager.getJavaFileObjectsFromPaths(paths))).parse();
        }
        found.getDiagnostics().forEach(System.out::println);
    }
}
