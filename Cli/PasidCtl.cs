// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Comparison.Reports;
using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using System.Reflection;
using PasidFramework.Cli.Compare;
using PasidFramework.Cli.Drivers;
using PasidFramework.Cli.Structures;
using PasidFramework.Conformance.Catalogue;

namespace PasidFramework.Cli;

/// <summary>The tool: parses the command line, runs a command, and turns whatever happens into an exit code.</summary>
internal static class PasidCtl
{
    public static int Run(string[] args, Terminal terminal, CancellationToken cancellation)
    {
        try
        {
            return Invoke(args, terminal, cancellation);
        }
        catch (UsageException e)
        {
            terminal.Say(e.Message);
            if (e.Hint is { } hint)
            {
                terminal.Say(hint);
            }

            return e.ExitCode;
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            terminal.Say("interrupted; there is no result");
            return ExitCode.Interrupted;
        }
        catch (IOException e)
        {
            // A full disk, or a reader that went away; what is read is checked where it is read.
            terminal.Say($"output cannot be written: {e.Message}; there is no result");
            return ExitCode.Usage;
        }
        catch (Exception e)
        {
            // Whatever comes here was not expected: a person has to see where it came from.
            terminal.Say($"internal error: {e.GetType().Name}: {e.Message}; there is no result");
            terminal.Error.WriteLine(e.StackTrace);
            return ExitCode.Internal;
        }
    }

    private static int Invoke(string[] args, Terminal terminal, CancellationToken cancellation)
    {
        RootCommand root = CreateRoot(terminal, cancellation);
        ParseResult parsed = root.Parse(args);
        if (parsed.Errors.Count > 0)
        {
            string command = parsed.CommandResult.Command is RootCommand
                ? "pasidctl"
                : $"pasidctl {parsed.CommandResult.Command.Name}";
            throw new UsageException(OneLine(Explain(parsed)), hint: $"see '{command} --help'");
        }

        return parsed.Invoke(new InvocationConfiguration
        {
            EnableDefaultExceptionHandler = false,
            Output = terminal.Out,
            Error = terminal.Error,
            ProcessTerminationTimeout = null,
        });
    }

    // The parser lists allowed values one a line.
    private static string OneLine(string text) => string.Join(
        ' ', text.Split(['\n', '\r', '\t', ' '],
            StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries));

    // The parser reports a misspelt command as a missing one first.
    private static string Explain(ParseResult parsed) =>
        parsed.CommandResult.Command is RootCommand && parsed.UnmatchedTokens.Count > 0
            ? $"'{parsed.UnmatchedTokens[0]}' is unknown; expected a command: "
                + string.Join(", ", parsed.CommandResult.Command.Subcommands.Select(c => c.Name))
            : parsed.Errors[0].Message;

    private static RootCommand CreateRoot(Terminal terminal, CancellationToken cancellation)
    {
        var root = new RootCommand("PASID allocation policies, IOMMU drivers and the tables they write.")
        {
            CompareCommand.Create(terminal, cancellation),
            DriversCommand.Create(terminal),
            Verify.VerifyCommand.Create(terminal, cancellation),
            StructureCommands.Explain(terminal, cancellation),
            StructureCommands.Encode(terminal, cancellation),
        };
        foreach (Option option in root.Options)
        {
            switch (option)
            {
                case HelpOption help:
                    help.Action = new ExampleFirst((HelpAction)help.Action!);
                    break;
                case VersionOption version:
                    version.Action = new PrintVersion();
                    break;
                default:
                    break;
            }
        }

        return root;
    }

    private static string Version()
    {
        string version = typeof(PasidCtl).Assembly
            .GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "unknown";
        string contract = Text($"{DriverContract.Major}.{DriverContract.Minor}");
        return Text($"pasidctl {version} (driver contract {contract}, catalogue {ConformanceCatalogue.Version}, ")
            + Text($"JSON schema {JsonReport.SchemaVersion})");
    }

    private sealed class ExampleFirst(HelpAction inner) : SynchronousCommandLineAction
    {
        // Who asks for help need not have given what a command requires.
        public override bool ClearsParseErrors => true;

        public override int Invoke(ParseResult parseResult)
        {
            TextWriter output = parseResult.InvocationConfiguration.Output;
            output.WriteLine("Example:");
            output.WriteLine(parseResult.CommandResult.Command.Name switch
            {
                "drivers" => "  pasidctl drivers --json -",
                "verify" => "  pasidctl verify intel-vtd --hardware all --format html --out report.html",
                "explain" => "  pasidctl explain intel-vtd/pasid_dir_entry 0x123457001",
                "encode" => "  pasidctl encode intel-vtd/pasid_dir_entry P=1 SMPTBLPTR=0x123457000",
                _ => "  pasidctl compare --policy core/lowest,core/quarantine,vendor --json -",
            });
            output.WriteLine();

            // A fixed width, so that help reads the same in a pipe and on any terminal.
            inner.MaxWidth = TextReport.Width;
            int code = inner.Invoke(parseResult);
            if (parseResult.CommandResult.Command is RootCommand)
            {
                output.WriteLine("Exit codes:");
                output.WriteLine("  0    result");
                output.WriteLine("  1    verify: the driver failed; else: input lines that were wrong");
                output.WriteLine("  2    usage, trace, scenario or configuration; no result");
                output.WriteLine("  3    a plug-in was refused; the result is complete unless it is needed\n"
                    + "       (verify: the driver could not be loaded; no result)");
                output.WriteLine("  4    internal error; no result");
                output.WriteLine("  130  interrupted; no result");
                output.WriteLine("  141  the reader of --jsonl's output went away");
            }

            return code;
        }
    }

    private sealed class PrintVersion : SynchronousCommandLineAction
    {
        public override bool ClearsParseErrors => true;

        public override int Invoke(ParseResult parseResult)
        {
            parseResult.InvocationConfiguration.Output.WriteLine(Version());
            return ExitCode.Ok;
        }
    }
}
