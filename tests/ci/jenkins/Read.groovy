// Reads declarative Jenkinsfiles and prints for each, as a line of JSON, the steps that Jenkins would take if all goes well, or
// an error. It knows the sections and steps below and no others: a misspelled one, or one in a wrong place, is an error.
import groovy.json.JsonOutput

abstract class Section {
    protected void within(Closure body, Object section) {
        body.delegate = section
        body.resolveStrategy = Closure.DELEGATE_ONLY
        body()
    }

    protected static void must(boolean holds, String text) {
        if (!holds) throw new IllegalArgumentException(text)
    }
}

class Environment extends Section {
    final Map<String, String> variables = [:]

    void setProperty(String name, Object value) { variables[name] = value as String }
}

class Options extends Section {
    void timeout(Map given) {
        must(given.keySet() == ['time', 'unit'] as Set && given.unit in ['SECONDS', 'MINUTES', 'HOURS'], "timeout: $given")
    }
}

class Steps extends Section {
    List taken
    Map<String, String> variables

    void sh(String text) { taken << [step: 'sh', text: text, variables: variables] }

    void junit(String files) { taken << [step: 'junit', files: files] }

    void archiveArtifacts(Map given) {
        must(given.artifacts && (given.keySet() - ['artifacts', 'allowEmptyArchive']).empty, "archiveArtifacts: $given")
        taken << [step: 'archiveArtifacts', files: given.artifacts]
    }
}

class Post extends Section {
    List taken
    Map<String, String> variables

    void always(Closure body) { within(body, new Steps(taken: taken, variables: variables)) }
}

class Stage extends Section {
    List taken
    Map<String, String> variables
    int found = 0

    void steps(Closure body) {
        found++
        within(body, new Steps(taken: taken, variables: variables))
    }
}

class Stages extends Section {
    List taken
    Map<String, String> variables
    Set<String> names = []

    void stage(String name, Closure body) {
        must(names.add(name), "two stages are called $name")
        def stage = new Stage(taken: taken, variables: variables)
        within(body, stage)
        must(stage.found == 1, "stage $name has not one `steps`")
    }
}

class Pipeline extends Section {
    final String any = 'any'
    final List taken = []
    final Map<String, String> variables = [:]
    final Set<String> sections = []

    private void once(String name) { must(sections.add(name), "there are two sections `$name`") }

    void agent(String which) { once('agent') }

    void options(Closure body) {
        once('options')
        within(body, new Options())
    }

    void environment(Closure body) {
        once('environment')
        def environment = new Environment()
        within(body, environment)
        variables.putAll(environment.variables)
    }

    void stages(Closure body) {
        once('stages')
        def stages = new Stages(taken: taken, variables: variables)
        within(body, stages)
        must(!stages.names.empty, 'there is no stage')
    }

    void post(Closure body) {
        once('post')
        within(body, new Post(taken: taken, variables: variables))
    }
}

abstract class Declarative extends Script {
    final Pipeline read = new Pipeline()

    void pipeline(Closure body) {
        read.within(body, read)
        Section.must(read.sections.containsAll(['agent', 'stages']), 'a pipeline has an agent and stages')
    }
}

def configuration = new org.codehaus.groovy.control.CompilerConfiguration(scriptBaseClass: Declarative.name)
args.each { file ->
    try {
        def script = new GroovyShell(getClass().classLoader, new Binding(), configuration).parse(new File(file))
        script.run()
        println JsonOutput.toJson([taken: script.read.taken])
    } catch (Exception error) {
        println JsonOutput.toJson([error: error.message])
    }
}
