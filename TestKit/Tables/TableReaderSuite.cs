// SPDX-License-Identifier: Apache-2.0
using Microsoft.Extensions.Options;
using PasidFramework.Engine;
using static PasidFramework.TestKit.Suite;

namespace PasidFramework.TestKit.Tables;

/// <summary>
/// What the contract promises of a table reader, on tables that a driver wrote for a model: against the bindings,
/// against the model's walks, and on images of these tables with holes, loops and random words. Without a test
/// framework.
/// </summary>
/// <exception cref="SuiteFailedException">From each check: what was expected and found.</exception>
public sealed class TableReaderSuite : IDisposable
{
    private const ulong Address = 0x7F00_1234_5000;
    private const int MaxSteps = 64;

    // The first PASIDs end a leaf of 64, 256 or 1024 entries and begin the next.
    private const int FirstPasid = 1022;
    private readonly ITableReader _reader;
    private readonly IIommuModel _model;
    private readonly IommuCore _core;
    private readonly List<IPageTable> _pages = [];
    private readonly List<(RequesterId Requester, Pasid Pasid)> _links = [];
    private readonly Dictionary<string, ulong> _roots;

    /// <summary>Starts a driver on a model and binds processes.</summary>
    /// <param name="setup">Driver, model and page tables; two devices of one domain and one of another are
    /// used.</param>
    public TableReaderSuite(ScenarioSetup setup, ITableReader reader)
    {
        ArgumentNullException.ThrowIfNull(setup);
        ArgumentNullException.ThrowIfNull(reader);
        _reader = reader;
        _model = setup.Model.Create(setup.Hardware, setup.Order);
        IIommuUnit unit = Must(setup.CreateUnit(_model));
        _core = new IommuCore(new OptionsWrapper<PasidOptions>(new PasidOptions { First = FirstPasid }));
        IommuInstance instance = _core.AddInstance("under-test", unit);
        Domain shared = Must(_core.CreateDomain(instance, "shared", Pasid.MaxBits));
        var range = new PasidRange(1, Pasid.MaxValue);
        Device[] devices =
        [
            Must(_core.AddDevice(shared, "A", setup.Requesters[0], range, setup.Features)),
            Must(_core.AddDevice(shared, "B", setup.Requesters[1], range, DeviceFeatures.None)),
            Must(_core.AddDevice(
                Must(_core.CreateDomain(instance, "alone", Pasid.MaxBits)), "C", setup.Requesters[2], range,
                setup.Features)),
        ];
        for (int i = 0; i < 4; i++)
        {
            IPageTable pages = Must(setup.PageTables.Create(_model.ModelMemory));
            _pages.Add(pages);
            ulong target = Must(_model.ModelMemory.AllocatePages(4096));
            Must(pages.Map(Address, target, writable: i != 1));
            var process = new SuiteProcess(i + 1, pages.Root);
            foreach (Device device in i == 3 ? [devices[2]] : devices[..2])
            {
                Pasid pasid = Must(_core.Bind(device, process));
                _links.Add((device.Requester, pasid));
            }
        }

        _roots = reader.Registers.Where(r => r.Offset is not null).ToDictionary(
            r => r.Name,
            r => r.Bytes == 8 ? _model.Registers.Read64(r.Offset!.Value) : _model.Registers.Read32(r.Offset!.Value));
        foreach ((string name, ulong value) in _model.TableRoots(devices[0].Requester))
        {
            _roots[name] = value;
        }

        // A request names the table of one domain only.
        IsPartial = reader.Registers.All(r => r.Offset is null);
    }

    /// <summary>The checks by name.</summary>
    public static IReadOnlyDictionary<string, Action<TableReaderSuite>> Checks { get; } =
        new Dictionary<string, Action<TableReaderSuite>>
        {
            [nameof(WhatIsBoundIsListed)] = suite => suite.WhatIsBoundIsListed(),
            [nameof(WalksEndWhereTheModelsDo)] = suite => suite.WalksEndWhereTheModelsDo(),
            [nameof(ListsAreCut)] = suite => suite.ListsAreCut(),
            [nameof(EmptyTablesHaveNoItems)] = suite => suite.EmptyTablesHaveNoItems(),
            [nameof(HolesAreFound)] = suite => suite.HolesAreFound(),
            [nameof(LoopsAreFound)] = suite => suite.LoopsAreFound(),
            [nameof(RandomImagesEnd)] = suite => suite.RandomImagesEnd(),
        };

    /// <summary>Whether the reader sees the tables of the first domain only.</summary>
    public bool IsPartial { get; }

    private (RequesterId Requester, Pasid Pasid)[] Seen =>
        [.. IsPartial ? _links.Where(link => link.Requester != _links[^1].Requester) : _links];

    public void Dispose()
    {
        _core.Dispose();
        _pages.ForEach(pages => pages.Dispose());
        _model.Dispose();
    }

    public void WhatIsBoundIsListed()
    {
        int events = 0;
        void Count(MemoryEvent change) => events++;
        _model.ModelMemory.Changed += Count;
        TableItem[] items = [.. Open(_model.Memory).Items()];
        Expect(string.Join(", ", Seen.Select(Named).Distinct().Order(StringComparer.Ordinal)),
            string.Join(", ", items.Where(i => i.Kind == TableItemKind.Pasid)
                .Select(i => Named((i.Requester ?? default, i.Pasid!.Value))).Order(StringComparer.Ordinal)),
            $"listed PASIDs");
        Expect("none", items.FirstOrDefault(i => i.Kind == TableItemKind.Finding)?.Text ?? "none", $"findings");
        foreach (TableItem item in items)
        {
            for (int i = 0; i < item.Words.Count; i++)
            {
                Expect(_model.Memory.ReadQword(item.Address + ((ulong)i * 8)), item.Words[i],
                    $"word {i} of {item.Structure}");
            }
        }

        _model.ModelMemory.Changed -= Count;
        Expect(0, events, $"stores and flushes");
    }

    public void WalksEndWhereTheModelsDo()
    {
        ITableView view = Open(_model.Memory);
        int translated = 0;
        foreach ((RequesterId requester, Pasid pasid) in Seen)
        {
            foreach (DmaAccess access in (DmaAccess[])
            [
                new(requester, pasid, Address + 0x123, false), new(requester, pasid, Address + 8, true),
                new(requester, pasid, Address + 0x1000, false), new(requester, pasid, 1UL << 62, false),
                new(requester, new Pasid(pasid.Value + 100), Address, false),
                new(requester, new Pasid(Pasid.MaxValue), Address, true),
            ])
            {
                _model.DropCaches();
                TranslationResult expected = _model.Translate(access);
                TableWalk walk = view.Walk(access);
                Expect(
                    (expected.Status, expected.Address, expected.FaultCode),
                    (walk.Result.Status, walk.Result.Address, walk.Result.FaultCode),
                    $"{access}");
                translated += walk.Result.Status == TranslationStatus.Translated ? 1 : 0;
                Expect(true,
                    walk.Steps.All(s => s.Words.Count == 0 || s.Words[0] == _model.Memory.ReadQword(s.Address)),
                    $"words of the steps of {access}");
            }
        }

        Expect(true, translated >= Seen.Length, $"some walk is translated for every link");
    }

    public void ListsAreCut()
    {
        ITableView view = Open(_model.Memory);
        int all = view.Items().Count();
        for (int most = 1; most <= all + 1; most++)
        {
            TableItem[] items = [.. view.Items(most)];
            Expect(Math.Min(most, all), items.Length, $"items of at most {most}");
            Expect(most < all, items[^1].Kind == TableItemKind.Finding, $"a finding ends a list of at most {most}");
        }

        foreach (int most in (int[])[0, -1])
        {
            Throws<ArgumentOutOfRangeException>(
                () => view.Items(most), $"a list of at most {most} items is no misuse");
        }
    }

    public void EmptyTablesHaveNoItems()
    {
        PatchedMemory image = Image(out _);
        foreach (ulong page in image.Pages)
        {
            for (ulong at = page; at < page + 4096; at += 8)
            {
                image.Put(at, 0);
            }
        }

        ITableView view = Open(image);
        Expect(0, view.Items().Count(), $"items of empty tables");
        foreach ((RequesterId requester, Pasid pasid) in Seen)
        {
            Expect(false,
                view.Walk(
                    new DmaAccess(requester, pasid, Address, false)).Result.Status == TranslationStatus.Translated,
                $"translation by empty tables");
        }
    }

    public void HolesAreFound()
    {
        PatchedMemory image = Image(out HashSet<ulong> entries);
        foreach (ulong page in image.Pages)
        {
            image.Hide(page);
            TableItem[] items = [.. Open(image).Items()];
            if (entries.Contains(page))
            {
                Expect(true, items.Any(i => i.Kind == TableItemKind.Finding),
                    $"finding without the page at 0x{page:x}");
            }

            Probe(Open(image));
            image.Restore();
        }
    }

    // Every pointer to another page of the tables is turned to each of them in turn.
    public void LoopsAreFound()
    {
        PatchedMemory image = Image(out HashSet<ulong> entries);
        int loops = 0;
        foreach (ulong page in entries)
        {
            for (ulong at = page; at < page + 4096; at += 8)
            {
                ulong word = image.ReadQword(at);
                ulong pointer = word & 0x000F_FFFF_FFFF_F000;
                foreach (ulong target in entries.Contains(pointer) ? entries : [])
                {
                    image.Put(at, (word ^ pointer) | target);
                    ITableView view = Open(image);
                    loops += view.Items(1000).Any(i => i.Text.Contains("loop", StringComparison.Ordinal)) ? 1 : 0;
                    Probe(view);
                    image.Restore();
                }
            }
        }

        Expect(true, loops > 0, $"a loop is found");
    }

    public void RandomImagesEnd() => RandomImagesEnd(Effort.Of(100_000));

    /// <summary>Changes some words of the tables at random; lists and walks must end within their limits.</summary>
    /// <param name="images">How many times.</param>
    public void RandomImagesEnd(int images)
    {
        PatchedMemory image = Image(out _);
        ulong[] pages = [.. image.Pages];
        ulong[] used = [.. pages.SelectMany(p => Enumerable.Range(0, 512).Select(i => p + ((ulong)i * 8)))
            .Where(at => image.ReadQword(at) != 0)];
        var random = new Random(1);
        long translated = 0;
        long findings = 0;
        for (int i = 0; i < images; i++)
        {
            for (int change = random.Next(1, 6); change > 0; change--)
            {
                ulong at = random.Next(3) != 0
                    ? used[random.Next(used.Length)]
                    : pages[random.Next(pages.Length)] + ((ulong)random.Next(512) * 8);
                ulong word = image.ReadQword(at);
                ulong other = image.ReadQword(used[random.Next(used.Length)]);
                image.Put(at, random.Next(5) switch
                {
                    0 => (ulong)random.NextInt64() << 1,
                    1 => word ^ (1UL << random.Next(64)),
                    2 => (word & 0xFFF) | pages[random.Next(pages.Length)],
                    3 => other,
                    _ => (other & ~0xFFFUL) | (word & 0xFFF),
                });
            }

            try
            {
                ITableView view = Open(image);
                int items = 0;
                foreach (TableItem item in view.Items(200))
                {
                    items++;
                    findings += item.Kind == TableItemKind.Finding ? 1 : 0;
                }

                Expect(true, items <= 200, $"at most 200 items");
                translated += Probe(view);
            }
            catch (Exception e) when (e is not (SuiteFailedException or OutOfMemoryException))
            {
                throw new SuiteFailedException(Text($"image {i}: {e}"));
            }

            image.Restore();
        }

        // The images must be worth it.
        Expect(true, translated > images / 10 && findings > images / 10,
            $"{translated} translations, {findings} findings");
    }

    private ITableView Open(IMemoryReader memory) => Must(_reader.Open(memory, _roots));

    private string Named((RequesterId Requester, Pasid Pasid) link) => IsPartial
        ? link.Pasid.ToString() : $"{link.Requester}/{link.Pasid}";

    // A copy of every page that a list or a walk reads.
    private PatchedMemory Image(out HashSet<ulong> entries)
    {
        var image = new PatchedMemory(_model.Memory);
        ITableView view = Open(image);
        entries = [.. view.Items().Select(i => i.Address & ~0xFFFUL)];
        Probe(view);
        return image;
    }

    private int Probe(ITableView view)
    {
        int translated = 0;
        foreach ((RequesterId requester, Pasid pasid) in Seen)
        {
            TableWalk walk = view.Walk(new DmaAccess(requester, pasid, Address + 8, false));
            Expect(true, walk.Steps.Count <= MaxSteps, $"{walk.Steps.Count} steps of a walk");
            translated += walk.Result.Status == TranslationStatus.Translated ? 1 : 0;
        }

        return translated;
    }
}
