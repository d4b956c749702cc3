// SPDX-License-Identifier: Apache-2.0
using System.CommandLine;
using System.Globalization;
using PasidFramework.Conformance.Bench;
using PasidFramework.Conformance.Catalogue;
using PasidFramework.Conformance.Reports;
using PasidFramework.Conformance.Running;
using PasidFramework.Conformance.Waivers;
using PasidFramework.Qemu;
using PasidFramework.Qemu.Machine;

namespace PasidFramework.Cli.Verify;

/// <summary><c>pasidctl verify</c>: the conformance suite on one driver.</summary>
internal sealed class VerifyCommand(Terminal terminal, CancellationToken cancellation)
{
    private const string Model = "model";
    private const string Qemu = "qemu";
    private const string All = "all";
    private PendingFile? _file;
    private volatile string _running = "the driver's constructor";

    private readonly Argument<string?> _driver = new("driver")
    {
        Description = "Name of a loaded driver, or path of a driver's DLL",
        HelpName = "DRIVER|DLL",
        Arity = ArgumentArity.ZeroOrOne,
    };

    private readonly Option<bool> _list = SharedOptions.Flag(
        "--list", "List the cases instead, those of --case and --family only");

    private readonly Option<string> _hardware = SharedOptions.Choice(
        "--hardware", "The software model, QEMU's IOMMUs, or both", Model, Qemu, All);

    private readonly Option<string[]> _cases = SharedOptions.Values(
        "--case", "ID", "Only this case, such as INV-003 (may be repeated)");

    private readonly Option<string[]> _families = SharedOptions.Values(
        "--family",
        "NAME",
        $"Only this family of cases: {string.Join(", ", ConformanceCatalogue.Families)} (may be repeated)");

    private readonly Option<string?> _seed = SharedOptions.Value(
        "--seed", "N", "Seed of everything that is drawn [default: 1]");

    private readonly Option<bool> _strict = SharedOptions.Flag(
        "--strict", "A required case that was shown nowhere counts as a failure");

    private readonly Option<string> _format = SharedOptions.Choice(
        "--format", "How the report is written", [.. ReportFormats.All.Select(f => f.Name)]);

    private readonly Option<string?> _out = SharedOptions.Value(
        "--out", "FILE", "Write the report to FILE instead of stdout");

    private readonly Option<string?> _waivers = SharedOptions.Value(
        "--waivers", "FILE", "Known failures as JSON: id, reason, issue, expires");

    private readonly Option<string[]> _unitOptions = SharedOptions.Values(
        "--unit", "KEY=VALUE", "A setting of the driver's units, such as dialect=E (may be repeated)");

    private readonly Option<string[]> _directories = SharedOptions.Directories();
    private readonly Option<bool> _quiet = SharedOptions.Quiet();

    public static Command Create(Terminal terminal, CancellationToken cancellation)
    {
        var verify = new VerifyCommand(terminal, cancellation);
        var command = new Command("verify", "Judge a driver by the conformance suite, on models or on QEMU's IOMMUs")
        {
            verify._driver, verify._list, verify._hardware, verify._cases, verify._families, verify._seed,
            verify._strict, verify._format, verify._out, verify._waivers, verify._unitOptions, verify._directories,
            verify._quiet,
        };
        command.SetAction(verify.Run);
        return command;
    }

    private int Run(ParseResult parsed)
    {
        string? argument = parsed.GetValue(_driver);
        _ = ReportFormats.TryFind(parsed.GetValue(_format)!, out ReportFormat? format);
        ulong seed = Seed(parsed.GetValue(_seed));
        IReadOnlyDictionary<string, string> unitOptions = UnitOptions(parsed.GetValue(_unitOptions) ?? []);
        string[] cases = parsed.GetValue(_cases) ?? [];
        string[] families = parsed.GetValue(_families) ?? [];
        CheckNames("--case", cases, ConformanceCatalogue.Cases.Select(c => c.Id), "see 'pasidctl verify --list'");
        CheckNames("--family", families, ConformanceCatalogue.Families, null);
        ConformanceCase[] chosen = [.. ConformanceCatalogue.Cases.Where(c =>
            (cases.Length == 0 || cases.Contains(c.Id)) && (families.Length == 0 || families.Contains(c.Family)))];
        if (chosen.Length == 0)
        {
            throw new UsageException("--case and --family leave no case");
        }

        if (parsed.GetValue(_list))
        {
            return argument is null
                ? List(chosen)
                : throw new UsageException(
                    $"--list: '{argument}' is one argument too many; every driver has the same cases");
        }

        if (argument is null)
        {
            throw new UsageException("no driver is given; expected DRIVER, DLL or --list",
                hint: "see 'pasidctl drivers'");
        }

        // A driver that ends the process must not make its verdict by that.
        AppDomain.CurrentDomain.ProcessExit += OnProcessExit;
        try
        {
            return Judge(parsed, argument, unitOptions, seed, chosen, format!);
        }
        finally
        {
            AppDomain.CurrentDomain.ProcessExit -= OnProcessExit;
        }
    }

    private int Judge(
        ParseResult parsed,
        string argument,
        IReadOnlyDictionary<string, string> unitOptions,
        ulong seed,
        ConformanceCase[] chosen,
        ReportFormat format)
    {
        bool quiet = parsed.GetValue(_quiet);
        IReadOnlyList<Waiver> waivers = Waivers(parsed.GetValue(_waivers));
        string? path = parsed.GetValue(_out);
        using PendingFile? file = path is null or "-" ? null : PendingFile.Create("--out", path);
        _file = file;

        using PluginCatalog catalog = Subject.Load(argument, parsed.GetValue(_directories) ?? []);
        LoadedDriver driver = Subject.Find(catalog, argument);
        string hardware = parsed.GetValue(_hardware)!;
        DriverUnderTest subject = Subject.Of(catalog, driver, unitOptions, BackEnds(catalog, driver, hardware, quiet));
        _running = "the start of a unit with --unit";
        OpResult settings = Interruptible(() => ConformanceRunner.CheckUnitOptions(subject));
        if (!settings.IsOk)
        {
            throw new UsageException($"--unit: {settings.Reason}");
        }

        ConformanceReport report = terminal.WithProgress(quiet, show =>
        {
            HashSet<string> seen = [];
            return Interruptible(() => ConformanceRunner.Run(
                subject,
                new RunOptions
                {
                    Seed = seed,
                    Cases = parsed.GetValue(_cases) ?? [],
                    Families = parsed.GetValue(_families) ?? [],
                    IsStrict = parsed.GetValue(_strict),
                    Waivers = waivers,
                    Today = DateOnly.FromDateTime(DateTime.UtcNow),
                    Repeat = (one, where) => Repeat(parsed, argument, one, where, seed),
                    Progress = result =>
                    {
                        seen.Add(result.Case.Id);
                        show?.Invoke($"{result.Case.Id} {result.Hardware}", (double)seen.Count / chosen.Length);
                    },
                    Starting = (one, where) => _running = $"{one.Id} on {where}",
                },
                cancellation));
        });
        string command = $"pasidctl {string.Join(' ', parsed.Tokens.Select(t => Quote(t.Value)))}";
        Write(report, format, file, new ReportOptions { Command = command, HasDurations = true });
        if (file is not null && !quiet)
        {
            terminal.Say($"{path}: {TextReport.Sentence(report)}");
        }

        return report.IsConformant ? ExitCode.Ok : ExitCode.SomeFailed;
    }

    // A driver that hangs must not keep the tool from being interrupted: it runs on a thread that may be left behind.
    private T Interruptible<T>(Func<T> work)
    {
        Task<T> run = Task.Factory.StartNew(
            work, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        try
        {
            run.Wait(cancellation);
        }
        catch (OperationCanceledException)
        {
            terminal.Say($"{_running} was running");
            throw;
        }
        catch (AggregateException)
        {
            // Thrown as it is below.
        }

        return run.GetAwaiter().GetResult();
    }

    private void OnProcessExit(object? sender, EventArgs e)
    {
        terminal.Say($"the process was ended while {_running} was running; there is no report");
        _file?.Dispose();
        Environment.ExitCode = ExitCode.SomeFailed;
    }

    private int List(ConformanceCase[] cases)
    {
        using var buffer = new MemoryStream();
        using (var text = new StreamWriter(buffer, leaveOpen: true) { NewLine = "\n" })
        {
            TextReport.WriteCases(cases, text);
        }

        Output.Write(terminal, buffer);
        return ExitCode.Ok;
    }

    private void Write(ConformanceReport report, ReportFormat format, PendingFile? file, ReportOptions options)
    {
        if (file is null)
        {
            using var buffer = new MemoryStream();
            format.Write(report, buffer, options);
            Output.Write(terminal, buffer);
            return;
        }

        format.Write(report, file.Stream, options);
        file.Commit();
    }

    private static ulong Seed(string? text)
    {
        if (text is null)
        {
            return 1;
        }

        return ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out ulong seed)
            ? seed
            : throw new UsageException($"--seed is '{text}'; expected a number from 0 to {ulong.MaxValue}");
    }

    private static Dictionary<string, string> UnitOptions(IEnumerable<string> pairs)
    {
        Dictionary<string, string> options = [];
        foreach (string pair in pairs)
        {
            int equals = pair.IndexOf('=', StringComparison.Ordinal);
            if (equals < 1)
            {
                throw new UsageException($"--unit is '{pair}'; expected KEY=VALUE");
            }

            if (!options.TryAdd(pair[..equals], pair[(equals + 1)..]))
            {
                throw new UsageException($"--unit: {pair[..equals]} is given twice");
            }
        }

        return options;
    }

    private static void CheckNames(string option, IEnumerable<string> names, IEnumerable<string> known, string? hint)
    {
        foreach (string name in names)
        {
            if (!known.Contains(name))
            {
                throw new UsageException(option == "--family"
                    ? $"--family: '{name}' is unknown; expected {string.Join(", ", known)}"
                    : $"--case: '{name}' is unknown; expected an id such as {known.First()} or {known.Last()}",
                    hint: hint);
            }
        }
    }

    private static IReadOnlyList<Waiver> Waivers(string? path)
    {
        if (path is null)
        {
            return [];
        }

        OpResult<IReadOnlyList<Waiver>> loaded = WaiverFile.Load(path);
        return loaded.IsOk ? loaded.Value : throw new UsageException($"--waivers: {loaded.Reason}");
    }

    private string Repeat(ParseResult parsed, string argument, ConformanceCase one, string hardware, ulong seed)
    {
        List<string> words = ["pasidctl", "verify", Quote(argument)];
        if (hardware.StartsWith(Qemu, StringComparison.Ordinal))
        {
            words.Add("--hardware qemu");
        }

        words.Add($"--case {one.Id}");
        words.Add(Text($"--seed {seed}"));
        words.AddRange((parsed.GetValue(_unitOptions) ?? []).Select(o => $"--unit {Quote(o)}"));
        words.AddRange((parsed.GetValue(_directories) ?? []).Select(d => $"--drivers {Quote(d)}"));
        return string.Join(' ', words);
    }

    private static string Quote(string word) =>
        word.All(c => char.IsAsciiLetterOrDigit(c) || c is '/' or '.' or '-' or '_' or '=' or ':')
            ? word
            : $"'{word.Replace("'", "'\\''", StringComparison.Ordinal)}'";

    private List<IHardwareBackEnd> BackEnds(PluginCatalog catalog, LoadedDriver driver, string hardware, bool quiet)
    {
        List<IHardwareBackEnd> backEnds = [];
        if (hardware != Qemu)
        {
            backEnds.Add(Subject.Software(catalog, driver));
        }

        if (hardware == Model)
        {
            return backEnds;
        }

        List<string> problems = [];
        string home = QemuHome.Path;
        IReadOnlyList<QemuInstallation> installations = QemuInstallation.Find(home, problems);
        foreach (string problem in quiet && installations.Count > 0 ? [] : problems)
        {
            terminal.Say($"note: {problem}");
        }

        if (installations.Count == 0)
        {
            throw new UsageException($"--hardware {hardware}: no QEMU in {home} or on PATH",
                hint: "eng/install-qemu unpacks one without root; PASID_QEMU_HOME names another folder");
        }

        IHardwareBackEnd[] found =
        [
            .. installations.SelectMany(QemuBackEnds.For)
                .Where(b => b.Architecture == driver.Metadata.TableFormat).DistinctBy(b => b.Name),
        ];
        if (found.Length == 0 && hardware == Qemu)
        {
            throw new UsageException(
                $"--hardware qemu: QEMU has no IOMMU of the architecture '{driver.Metadata.TableFormat}'",
                hint: "--hardware model judges the driver on its own model or stand-in");
        }

        if (found.Length == 0)
        {
            terminal.Say($"note: QEMU has no IOMMU of the architecture '{driver.Metadata.TableFormat}'; judged on the "
                + $"model only");
        }

        backEnds.AddRange(found);
        return backEnds;
    }
}
