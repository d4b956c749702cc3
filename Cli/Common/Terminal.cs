// SPDX-License-Identifier: Apache-2.0
using Spectre.Console;

namespace PasidFramework.Cli.Common;

/// <summary>Where the tool writes: data on stdout, everything else on stderr, no control sequence in a pipe.</summary>
internal sealed class Terminal
{
    private readonly bool _mayShowProgress;

    public Terminal()
    {
        Out = Console.Out;
        Error = Console.Error;
        _mayShowProgress = !Console.IsErrorRedirected
            && string.IsNullOrEmpty(Environment.GetEnvironmentVariable("NO_COLOR"))
            && string.IsNullOrEmpty(Environment.GetEnvironmentVariable("CI"))
            && Environment.GetEnvironmentVariable("TERM") is { Length: > 0 } term
            && term != "dumb";
    }

    public TextWriter Out { get; }
    public TextWriter Error { get; }

    /// <summary>One line on stderr, after the tool's name.</summary>
    public void Say(string line) => Error.WriteLine($"pasidctl: {line}");

    /// <summary>Runs something that reports how far it is, with a bar on stderr where a person can see it.</summary>
    public T WithProgress<T>(bool quiet, Func<Action<string, double>?, T> work)
    {
        if (quiet || !_mayShowProgress)
        {
            return work(null);
        }

        // The library takes TERM=xterm for a terminal even where the stream is a pipe, so the choice is made above.
        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Ansi = AnsiSupport.Yes,
            Interactive = InteractionSupport.Yes,
            Out = new AnsiConsoleOutput(Error),
        });
        return console.Progress()
            .AutoClear(true)
            .HideCompleted(true)
            .Columns(new TaskDescriptionColumn(), new ProgressBarColumn(), new PercentageColumn())
            .Start(context =>
            {
                ProgressTask task = context.AddTask("starting", maxValue: 1);
                return work((what, done) =>
                {
                    task.Description = Markup.Escape(what);
                    task.Value = done;
                });
            });
    }
}
