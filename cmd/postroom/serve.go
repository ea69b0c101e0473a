package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"unsafe"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"postroom/internal/config"
)

func serveCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve IMAP, POP3 and the web mail as the configuration says",
		Long: `Serve IMAP, POP3 and the web mail as the configuration says, until SIGTERM or SIGINT.
SIGHUP reads users and certificates again. config.toml.example explains every key.`,
		Args: exactArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Read(file)
			if err != nil {
				return usageError{err}
			}
			return serve(cmd.Context(), cfg)
		},
	}
	cmd.Flags().StringVar(&file, "config", "/etc/postroom/config.toml", "configuration `FILE`")
	return cmd
}

func serve(ctx context.Context, cfg *config.Config) error {
	// Before all else: a SIGHUP that comes early must not end the process.
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer signal.Stop(signals)
	// Whoever reads the log may go; mail is served without a log then.
	signal.Ignore(syscall.SIGPIPE)
	defer runtime.KeepAlive(heapRoom())
	log := newLogger(cfg.Log)
	listeners, err := listen(cfg)
	if err != nil {
		return usageError{err}
	}
	defer listeners.close()
	if err := becomeUser(cfg, log); err != nil {
		return usageError{err}
	}
	d, err := newDaemons(cfg, log)
	if err != nil {
		return usageError{err}
	}
	defer d.close()
	d.start(listeners)
	log.Info("serving", "version", version(), "imap", listeners.addrs("imap"), "pop3", listeners.addrs("pop3"), "web", listeners.addrs("web"))
	notifySystemd(log, daemon.SdNotifyReady)
	for {
		select {
		case s := <-signals:
			if s == syscall.SIGHUP {
				log.Info("reading users and certificates again")
				notifySystemd(log, daemon.SdNotifyReloading+"\n"+daemon.SdNotifyMonotonicUsec())
				d.reload()
				notifySystemd(log, daemon.SdNotifyReady)
				continue
			}
			log.Info("ending", "signal", s.String())
			notifySystemd(log, daemon.SdNotifyStopping)
			return d.shutdown()
		case err := <-d.failed:
			notifySystemd(log, daemon.SdNotifyStopping)
			return errors.Join(err, d.shutdown())
		case <-ctx.Done():
			return d.shutdown()
		}
	}
}

// heapRoom lets the heap of a small server grow by some more before the collector looks at all that lives: 3 MB, most of
// it made once at the start, so that opening a folder of 10,000 messages (4 MB) cost a collection, a fifth of its CPU
// time. Nobody touches these octets: they are address space, not memory.
func heapRoom() *byte {
	const octets = 16 << 20
	return unsafe.SliceData(make([]byte, octets))
}

// notifySystemd tells systemd, where it started us, how far we are.
func notifySystemd(log *slog.Logger, state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		log.Warn("telling systemd", "error", err)
	}
}

func newLogger(c config.Log) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		level = slog.LevelInfo // the configuration has been checked
	}
	opt := &slog.HandlerOptions{Level: level}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(os.Stderr, opt))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, opt))
}
