// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Comparison.Reports;
using System.CommandLine;
using Microsoft.Win32.SafeHandles;

namespace PasidFramework.Cli.Structures;

/// <summary>
/// <c>pasidctl explain</c> and <c>pasidctl encode</c>: hardware structures from and to their bits, one on the command
/// line or many as JSON lines.
/// </summary>
internal sealed class StructureCommands
{
    private const int BrokenPipe = 32;
    private readonly Terminal _terminal;
    private readonly CancellationToken _cancellation;
    private readonly bool _encode;
    private readonly Argument<string?> _structure;
    private readonly Argument<string[]> _values;
    private readonly Option<bool> _lines;
    private readonly Option<bool> _bytes;
    private readonly Option<bool> _list = SharedOptions.Flag(
        "--list", "List the structures, or the fields of STRUCTURE");

    private readonly Option<string?> _pages = SharedOptions.Value(
        "--pages",
        "DIR",
        "Write a Markdown page with a bit diagram for each structure, or for STRUCTURE, below DIR");

    private readonly Option<string[]> _directories = SharedOptions.Directories();

    private StructureCommands(Terminal terminal, bool encode, CancellationToken cancellation)
    {
        _terminal = terminal;
        _cancellation = cancellation;
        _encode = encode;
        _structure = new Argument<string?>("STRUCTURE")
        {
            Description = "Id of a structure, such as intel-vtd/pasid_entry",
            Arity = ArgumentArity.ZeroOrOne,
        };
        _values = new Argument<string[]>(encode ? "FIELD=VALUE" : "WORD")
        {
            Description = encode
                ? "Fields by the specification's names; what is not given is 0. Addresses are byte addresses"
                : "64-bit words, low word first: decimal, 0x..., or 16 hexadecimal digits",
            Arity = ArgumentArity.ZeroOrMore,
        };
        _lines = SharedOptions.Flag("--jsonl", encode
            ? "Read {\"structure\":S,\"fields\":{...}} a line from stdin"
            : "Read {\"structure\":S,\"words64\":[...]} or {...,\"bytes\":HEX} a line from stdin");
        _bytes = SharedOptions.Flag("--bytes", $"{(encode ? "Print" : "Read")} bytes in memory order instead of words");
    }

    public static Command Explain(Terminal terminal, CancellationToken cancellation) =>
        new StructureCommands(terminal, encode: false, cancellation).Create(
            "explain", "Show every field of a structure, what it means and what is wrong with it");

    public static Command Encode(Terminal terminal, CancellationToken cancellation) =>
        new StructureCommands(terminal, encode: true, cancellation).Create(
            "encode", "Print the words of a structure with the given fields");

    private Command Create(string name, string description)
    {
        var command = new Command(name, description) { _structure, _values, _list, _lines, _bytes, _directories };
        if (!_encode)
        {
            command.Add(_pages);
        }

        command.SetAction(Run);
        return command;
    }

    private string Name => _encode ? "encode" : "explain";

    private int Run(ParseResult parsed)
    {
        string? id = parsed.GetValue(_structure);
        string[] values = parsed.GetValue(_values) ?? [];
        bool list = parsed.GetValue(_list);
        bool lines = parsed.GetValue(_lines);
        bool bytes = parsed.GetValue(_bytes);
        string? pages = parsed.GetValue(_pages);
        Check(id, values, list, lines, bytes, pages);

        using PluginCatalog catalog = Plugins.Load(parsed.GetValue(_directories) ?? []);
        bool lacking = Plugins.Report(catalog, _terminal, quiet: false);
        if (catalog.Drivers.Count == 0 && catalog.Allocators.Count == 0)
        {
            lacking = true;
            _terminal.Say($"no plug-in found in {string.Join(", ", catalog.SearchedDirectories)}: "
                + "only the structures of no vendor are known");
        }

        int code = pages is not null ? WritePages(catalog.Structures, id, lacking, pages)
            : lines ? RunLines(catalog.Structures)
            : list && id is null ? List(catalog.Structures)
            : RunOne(Find(catalog.Structures, id!, lacking), values, list, bytes);
        return code == ExitCode.Ok && lacking ? ExitCode.Plugin : code;
    }

    private void Check(string? id, string[] values, bool list, bool lines, bool bytes, string? pages)
    {
        string? wrong = pages is not null && (list || lines || bytes || values.Length > 0)
                ? "--pages: expected at most STRUCTURE beside it"
            : lines && (id is not null || list || bytes)
                ? $"--jsonl: structures come from stdin; expected no "
                    + $"{(list ? "--list" : bytes ? "--bytes" : "argument")} beside it"
            : list && bytes ? "--list and --bytes exclude each other"
            : list && values.Length > 0 ? $"--list: '{values[0]}' is one argument too many; expected at most STRUCTURE"
            : id is null && !list && !lines && pages is null
                ? "no structure is given; expected STRUCTURE, --list or --jsonl"
            : null;
        if (wrong is not null)
        {
            throw new UsageException(wrong, hint: $"see 'pasidctl {Name} --help'");
        }
    }

    // The plug-in that was not loaded may be the one that knows it.
    private static Layout Find(StructureCatalog catalog, string id, bool lacking) =>
        catalog.TryFind(id, out Layout? layout)
        ? layout
        : throw new UsageException(
            catalog.Unknown(id).Reason!, lacking ? ExitCode.Plugin : ExitCode.Usage, "see 'pasidctl explain --list'");

    private int List(StructureCatalog catalog)
    {
        StructureText.WriteList(_terminal.Out, catalog);
        return ExitCode.Ok;
    }

    private int WritePages(StructureCatalog catalog, string? id, bool lacking, string folder)
    {
        int written = StructurePages.Write(id is null ? catalog.All : [Find(catalog, id, lacking)], folder);
        _terminal.Say(Text($"{folder}: {written} pages"));
        return ExitCode.Ok;
    }

    private int RunOne(Layout layout, string[] values, bool list, bool bytes)
    {
        if (list)
        {
            StructureText.WriteFields(_terminal.Out, layout);
            return ExitCode.Ok;
        }

        var words = new ulong[layout.Words];
        if (_encode)
        {
            ReadFields(layout, values, words);
            WriteWords(layout, words, bytes);
        }
        else
        {
            ReadWords(layout, values, bytes, words);
            StructureText.WriteContent(_terminal.Out, layout, words);
        }

        return ExitCode.Ok;
    }

    private static void ReadFields(Layout layout, string[] values, Span<ulong> words)
    {
        layout.Initialize(words);
        var given = new HashSet<LayoutField>();
        foreach (string assignment in values)
        {
            int equals = assignment.IndexOf('=', StringComparison.Ordinal);
            if (equals <= 0)
            {
                throw new UsageException($"'{assignment}' is not FIELD=VALUE", hint: Fields(layout));
            }

            string name = assignment[..equals];
            LayoutField field = layout.Find(name)
                ?? throw new UsageException($"{layout.Id} has no field '{name}'", hint: Fields(layout));
            if (!given.Add(field))
            {
                throw new UsageException($"{layout.Id}: {name} is given twice");
            }

            if (!Number.TryParse(assignment.AsSpan(equals + 1), out ulong value))
            {
                throw new UsageException(
                    $"{layout.Id}: {name}: '{assignment[(equals + 1)..]}' is not {Number.Expected}");
            }

            OpResult set = layout.TrySet(words, field, value);
            if (!set.IsOk)
            {
                throw new UsageException(set.Reason!);
            }
        }
    }

    private static string Fields(Layout layout)
    {
        string names = string.Join(", ", layout.Fields.Where(f => f.IsNamed).Select(f => f.Mnemonic));
        return names.Length == 0
            ? "it has no field to set"
            : names.Length <= TextReport.Width
                ? $"its fields are {names}"
                : $"see 'pasidctl encode --list {layout.Id}'";
    }

    private void WriteWords(Layout layout, ReadOnlySpan<ulong> words, bool bytes)
    {
        if (bytes)
        {
            _terminal.Out.WriteLine(Convert.ToHexStringLower(layout.ToBytes(words)));
        }
        else
        {
            foreach (ulong word in words)
            {
                _terminal.Out.WriteLine(Text($"0x{word:x}"));
            }
        }

        // The words are what was asked for; that hardware would refuse them is for the person.
        foreach (Violation violation in layout.Check(words))
        {
            _terminal.Say($"violation: {violation}");
        }
    }

    private static void ReadWords(Layout layout, string[] values, bool bytes, Span<ulong> words)
    {
        string? error;
        if (bytes)
        {
            error = StructureInput.ReadBytes(string.Concat(values), layout, words);
        }
        else
        {
            // A dump that was pasted in quotes is one argument.
            string[] given =
                [.. values.SelectMany(v => v.Split(StructureInput.Separators, StringSplitOptions.RemoveEmptyEntries))];
            if (given.Length != layout.Words)
            {
                throw new UsageException(StructureInput.WrongWords(layout, given.Length));
            }

            for (int i = 0; i < given.Length; i++)
            {
                if (!Number.TryParseWord(given[i], out words[i]))
                {
                    throw new UsageException(Text($"word {i}: '{given[i]}' is not {Number.ExpectedWord}"));
                }
            }

            error = StructureInput.CheckLastWord(layout, words);
        }

        if (error is not null)
        {
            throw new UsageException(error);
        }
    }

    private int RunLines(StructureCatalog catalog)
    {
        // A read that waits for a terminal or a pipe is not woken by a token.
        using CancellationTokenRegistration interrupted = _cancellation.Register(() =>
        {
            _terminal.Say("interrupted; the lines that were printed are whole");
            Environment.Exit(ExitCode.Interrupted);
        });
        _terminal.Out.Flush();
        using Stream input = Console.OpenStandardInput();

        // Not the console's own stream: it takes a reader that went away for one that reads.
        using var output = new FileStream(new SafeFileHandle(1, ownsHandle: false), FileAccess.Write, bufferSize: 0);
        using var stream = new StructureStream(catalog);
        long wrong;
        try
        {
            wrong = stream.Run(input, output, _encode);
        }
        catch (IOException e) when (e.HResult == BrokenPipe)
        {
            // The reader has seen enough.
            return ExitCode.ReaderGone;
        }

        if (wrong == 0)
        {
            return ExitCode.Ok;
        }

        _terminal.Say(Text(
            $"{wrong} line{(wrong == 1 ? " was" : "s were")} wrong; each has its error in the output"));
        return ExitCode.SomeFailed;
    }
}
