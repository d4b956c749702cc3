using System.CommandLine;
using System.Globalization;
using PasidFramework.Conformance;
using PasidFramework.Hardware;
using PasidFramework.Hosting;

namespace PasidFramework.Cli.Verify;

/// <summary><c>pasidctl verify</c>: the conformance suite on one driver.</summary>
internal sealed class VerifyCommand
{
    private readonly Terminal _terminal;
    private readonly CancellationToken _cancellation;

    private readonly Argument<string> _driver = new("driver")
    {
        Description = "Name of a loaded driver, or path of a driver's DLL",
        HelpName = "DRIVER|DLL",
    };

    private readonly Option<string> _hardware = new("--hardware")
    {
        Description = "What it runs on",
        DefaultValueFactory = _ => "model",
    };

    private readonly Option<string[]> _cases = new("--case")
    {
        Description = "Only this case (may be repeated)",
        HelpName = "ID",
        AllowMultipleArgumentsPerToken = false,
        Arity = ArgumentArity.OneOrMore,
    };

    private readonly Option<string[]> _families = new("--family")
    {
        Description = "Only this family of cases (may be repeated)",
        HelpName = "NAME",
        AllowMultipleArgumentsPerToken = false,
        Arity = ArgumentArity.OneOrMore,
    };

    private readonly Option<string?> _seed = new("--seed")
    {
        Description = "Seed of everything that is drawn [default: 1]",
        HelpName = "N",
    };

    private readonly Option<string[]> _directories = SharedOptions.Directories();

    private VerifyCommand(Terminal terminal, CancellationToken cancellation)
    {
        _terminal = terminal;
        _cancellation = cancellation;
        _hardware.AcceptOnlyFromAmong("model", "qemu", "all");
    }

    public static Command Create(Terminal terminal, CancellationToken cancellation)
    {
        var verify = new VerifyCommand(terminal, cancellation);
        var command = new Command("verify", "Judge a driver by the conformance suite")
        {
            verify._driver,
            verify._hardware,
            verify._cases,
            verify._families,
            verify._seed,
            verify._directories,
        };
        command.SetAction(verify.Run);
        return command;
    }

    private int Run(ParseResult parsed)
    {
        string argument = parsed.GetValue(_driver)!;
        using PluginCatalog catalog = Subject.Load(argument, parsed.GetValue(_directories) ?? []);
        LoadedDriver driver = Subject.Find(catalog, argument);
        List<IHardwareBackEnd> backEnds = [Subject.Software(catalog, driver)];
        ulong seed = ulong.Parse(parsed.GetValue(_seed) ?? "1", CultureInfo.InvariantCulture);
        ConformanceReport report = ConformanceRunner.Run(
            Subject.Of(catalog, driver, new Dictionary<string, string>(), backEnds),
            new RunOptions
            {
                Seed = seed,
                Cases = parsed.GetValue(_cases) ?? [],
                Families = parsed.GetValue(_families) ?? [],
                Today = DateOnly.FromDateTime(DateTime.UtcNow),
                Progress = r =>
                {
                    _terminal.Out.WriteLine(FormattableString.Invariant(
                        $"{r.Verdict,-13} {r.Case.Id} {r.Hardware} {r.Case.Summary} [{r.Checks} looks, {r.Duration.TotalMilliseconds:0} ms] {r.Reason}"));
                    foreach (string line in r.Details)
                    {
                        _terminal.Out.WriteLine("      " + line);
                    }
                },
            },
            _cancellation);
        _terminal.Out.WriteLine(string.Join(" ", Enum.GetValues<Verdict>().Select(v => $"{v} {report.Count(v)}")));
        return report.IsConformant ? ExitCode.Ok : ExitCode.SomeFailed;
    }
}
