import ca.uhn.fhir.batch2.api.IJobMaintenanceService;
import ca.uhn.fhir.batch2.jobs.export.BulkDataExportProvider;
import ca.uhn.fhir.batch2.jobs.merge.MergeAppCtx;
import ca.uhn.fhir.batch2.jobs.replacereferences.ReplaceReferencesAppCtx;
import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.IValidationSupport;
import ca.uhn.fhir.jpa.api.config.JpaStorageSettings;
import ca.uhn.fhir.jpa.api.dao.IFhirSystemDao;
import ca.uhn.fhir.jpa.provider.JpaCapabilityStatementProvider;
import ca.uhn.fhir.jpa.provider.JpaSystemProvider;
import ca.uhn.fhir.jpa.search.DatabaseBackedPagingProvider;
import ca.uhn.fhir.jpa.test.config.TestR4Config;
import ca.uhn.fhir.rest.api.EncodingEnum;
import ca.uhn.fhir.rest.server.RestfulServer;
import ca.uhn.fhir.rest.server.interceptor.SearchPreferHandlingInterceptor;
import ca.uhn.fhir.rest.server.provider.ResourceProviderFactory;
import ca.uhn.fhir.rest.server.util.ISearchParamRegistry;
import java.time.Duration;
import java.util.Set;
import javax.sql.DataSource;
import org.apache.commons.dbcp2.BasicDataSource;
import org.eclipse.jetty.ee10.servlet.ServletContextHandler;
import org.eclipse.jetty.ee10.servlet.ServletHolder;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.h2.Driver;
import org.springframework.context.ApplicationContext;
import org.springframework.context.annotation.AnnotationConfigApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;

/**
 * A HAPI FHIR JPA server, R4, in memory, on a free loopback port.
 *
 * Prints {@code ready http://127.0.0.1:PORT/fhir} when it serves. Lives until its standard input
 * closes (so it dies with its parent), and never longer than {@code -Dupstream.minutes} (45).
 * {@code -Dupstream.references=false} lets it store references to resources that do not exist,
 * {@code -Dupstream.erasable=true} lets {@code $expunge} take away everything, {@code -Dupstream.exports=true}
 * lets it export in bulk.
 */
public final class Upstream {

    private Upstream() {}

    public static void main(String[] args) throws Exception {
        Duration life = Duration.ofMinutes(Integer.getInteger("upstream.minutes", 45));
        startThread("hard end", () -> haltAfter(life));
        startThread("parent watch", Upstream::haltWhenStdinCloses);
        ApplicationContext spring = new AnnotationConfigApplicationContext(
                Storage.class, ReplaceReferencesAppCtx.class, MergeAppCtx.class);
        String base = "http://127.0.0.1:" + serve(restful(spring)) + "/fhir";
        // Absolute references to ourselves are local ones, as on a server that was told its own address.
        spring.getBean(JpaStorageSettings.class).setTreatBaseUrlsAsLocal(Set.of(base));
        System.out.println("ready " + base);
    }

    /** TestR4Config with a plain connection pool: the original refuses long OR lists and counts statements. */
    @Configuration
    static class Storage extends TestR4Config {

        @Bean
        @Override
        public DataSource dataSource() {
            BasicDataSource pool = new BasicDataSource();
            pool.setDriver(new Driver());
            pool.setUrl("jdbc:h2:mem:upstream;DB_CLOSE_DELAY=-1");
            pool.setMaxTotal(20);
            return pool;
        }
    }

    private static RestfulServer restful(ApplicationContext spring) {
        JpaStorageSettings settings = spring.getBean(JpaStorageSettings.class);
        settings.setReuseCachedSearchResultsForMillis(null); // a search sees the write before it
        settings.setAllowContainsSearches(true);
        boolean erasable = Boolean.getBoolean("upstream.erasable");
        settings.setExpungeEnabled(erasable);
        settings.setAllowMultipleDelete(erasable);
        boolean references = Boolean.parseBoolean(System.getProperty("upstream.references", "true"));
        settings.setEnforceReferentialIntegrityOnWrite(references);
        settings.setEnforceReferentialIntegrityOnDelete(references);
        RestfulServer server = new RestfulServer(spring.getBean(FhirContext.class));
        server.registerProviders(spring.getBean(ResourceProviderFactory.class).createProviders());
        server.registerProvider(spring.getBean(JpaSystemProvider.class));
        if (Boolean.getBoolean("upstream.exports")) {
            server.registerProvider(spring.getBean(BulkDataExportProvider.class));
            startThread("batch jobs", () -> keepAtWork(spring.getBean(IJobMaintenanceService.class)));
        }
        server.setServerConformanceProvider(new JpaCapabilityStatementProvider(
                server,
                spring.getBean(IFhirSystemDao.class),
                settings,
                spring.getBean(ISearchParamRegistry.class),
                spring.getBean("myJpaValidationSupportChain", IValidationSupport.class)));
        DatabaseBackedPagingProvider paging = spring.getBean(DatabaseBackedPagingProvider.class);
        paging.setDefaultPageSize(20);
        paging.setMaximumPageSize(1000);
        server.setPagingProvider(paging);
        server.setDefaultResponseEncoding(EncodingEnum.JSON);
        server.registerInterceptor(new SearchPreferHandlingInterceptor(spring.getBean(ISearchParamRegistry.class)));
        return server;
    }

    private static int serve(RestfulServer servlet) throws Exception {
        Server jetty = new Server();
        ServerConnector connector = new ServerConnector(jetty);
        connector.setHost("127.0.0.1");
        jetty.addConnector(connector);
        ServletContextHandler handler = new ServletContextHandler();
        handler.addServlet(new ServletHolder(servlet), "/fhir/*");
        jetty.setHandler(handler);
        jetty.start();
        return connector.getLocalPort();
    }

    private static void startThread(String name, Runnable work) {
        Thread thread = new Thread(work, name);
        thread.setDaemon(true);
        thread.start();
    }

    /** An export goes on at each of these passes, which the server's own scheduler makes once a minute. */
    private static void keepAtWork(IJobMaintenanceService jobs) {
        try {
            while (true) {
                Thread.sleep(100);
                jobs.runMaintenancePass();
            }
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    private static void haltAfter(Duration life) {
        try {
            Thread.sleep(life.toMillis());
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
        }
        Runtime.getRuntime().halt(3);
    }

    private static void haltWhenStdinCloses() {
        try {
            while (System.in.read() >= 0) {
                // whatever is written is of no interest; only the end is
            }
        } catch (java.io.IOException closed) {
            System.err.println("standard input broke: " + closed.getMessage());
        }
        Runtime.getRuntime().halt(0);
    }
}
