using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using PasidFramework.Drivers.VirtioIommu.Tests.Support;
using PasidFramework.Hardware;
using PasidFramework.Models;
using PasidFramework.ModelHarness;

namespace PasidFramework.Drivers.VirtioIommu.Tests;

/// <summary>
/// Every store, flush, barrier and field of a request that the driver could leave out or get wrong, one at a time: the
/// model must notice, or a line of Vectors/equivalent-mutants.txt says why nobody could.
/// </summary>
public abstract class MutationTests(string dialect, ITestOutputHelper output)
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Every_broken_driver_is_caught_or_equivalent_for_a_reason(bool coherent)
    {
        string world = $"{dialect} {(coherent ? "coherent" : "not coherent")}";
        Dictionary<string, string> equivalent = DataFile.Read("equivalent-mutants.txt")
            .Where(parts => parts[0] == "all" || parts[0] == world)
            .ToDictionary(parts => parts[1], parts => parts[2], StringComparer.Ordinal);
        var found = new SortedDictionary<string, Tally>(StringComparer.Ordinal);
        foreach ((string kind, Func<string?> run) in StoreMutants(coherent, torn: true)
            .Concat(StoreMutants(coherent, torn: false)).Concat(RequestMutants(coherent)))
        {
            if (!found.TryGetValue(kind, out Tally? tally))
            {
                found[kind] = tally = new Tally();
            }

            tally.Add(run());
        }

        string[] table =
        [
            .. found.Select(f => string.Create(
                CultureInfo.InvariantCulture, $"{world} | {f.Key} | {f.Value.Count} | {f.Value}")),
        ];
        output.WriteLine(string.Join('\n', table));
        File.WriteAllLines(
            Path.Combine(AppContext.BaseDirectory, $"mutants.{world.Replace(' ', '-')}.txt"), table);
        File.WriteAllLines(
            Path.Combine(AppContext.BaseDirectory, $"missed.{world.Replace(' ', '-')}.txt"),
            found.Where(f => f.Value.Missed).Select(f => $"{f.Key}: {f.Value.Misses} of {f.Value.Count}"));
        Assert.Equal([], found.Where(f => f.Value.Missed && !equivalent.ContainsKey(f.Key)).Select(f => f.Key));
        Assert.Equal([], equivalent.Keys.Where(kind => !found.TryGetValue(kind, out Tally? t) || !t.Missed));

        // How many there are depends on the table's writer, so the numbers are for people.
        string[] known = [.. DataFile.Read("mutants.txt").Where(p => p[0] == world).Select(p => $"{p[1]} | {p[3]}")];
        Assert.Equal(known, table.Select(line => line.Split(" | ")).Select(p => $"{p[1]} | {p[3]}"));
    }

    // Looking at every moment takes time, and there is something to see only while the table is written. How many faults
    // there are to fetch depends on it, so each way of looking has its own clean run.
    private IEnumerable<(string Kind, Func<string?> Run)> StoreMutants(bool coherent, bool torn)
    {
        RequestMutator clean = Clean(coherent, torn);
        for (int i = 0; i < clean.Actions.Count; i++)
        {
            SeenAction action = clean.Actions[i];
            string what = clean.Kind(action);
            if (what.Contains("table", StringComparison.Ordinal) != torn || action.ChangesNothing)
            {
                continue;
            }

            switch (action.Kind)
            {
                case MemoryEventKind.Store:
                    yield return Mutant("drop " + what, new Mutation.DropStore(action.Number));

                    // A store that is held back until after the next one passes every barrier and flush in between.
                    int next = clean.Actions.FindIndex(i + 1, a => a.Kind == MemoryEventKind.Store);
                    if (next >= 0 && clean.Actions.FindIndex(i, next - i, a => a.Kind == MemoryEventKind.Barrier) >= 0)
                    {
                        yield return Mutant("delay " + what, new Mutation.SwapStores(action.Number));
                    }

                    break;
                case MemoryEventKind.Barrier:
                    yield return Mutant("drop " + what, new Mutation.DropBarrier(action.Number));
                    break;
                case MemoryEventKind.Flush when !coherent:
                    yield return Mutant("drop " + what, new Mutation.DropFlush(action.Number));
                    break;
                default:
                    break;
            }
        }

        (string, Func<string?>) Mutant(string kind, Mutation mutation) => (kind, () => Catch(coherent, torn, mutation));
    }

    private IEnumerable<(string Kind, Func<string?> Run)> RequestMutants(bool coherent)
    {
        RequestMutator clean = Clean(coherent, torn: false);
        for (int number = 0; number < clean.Requests.Count; number++)
        {
            int target = number;
            foreach ((string kind, Func<byte[], byte[]> change) in Changes(clean.Requests[number], number == 0))
            {
                yield return (kind, () => Catch(coherent, false, null, target, change));
            }
        }
    }

    private RequestMutator Clean(bool coherent, bool torn)
    {
        RequestMutator? clean = null;
        ScenarioReport report = Run(coherent, null, torn, hardware => clean = new RequestMutator(hardware));
        Assert.True(report.Failures.Count == 0, string.Join('\n', report.Failures));
        return clean!;
    }

    private IEnumerable<(string Kind, Func<byte[], byte[]> Change)> Changes(byte[] request, bool first)
    {
        switch (request[0])
        {
            case 2:
                // An ATTACH of an endpoint that is of no interest has the same length.
                yield return ("DETACH left out", r => [1, 0, 0, 0, 99, 0, 0, 0, 0, 0, 0, 0, .. r[12..]]);
                yield return ("DETACH of another domain", r => With32(r, 4, U32(r, 4) + 1));
                yield return ("DETACH of another endpoint", r => With32(r, 8, 0));
                break;
            case 5:
                yield return (first ? "PROBE of another endpoint at the start" : "PROBE of another endpoint", r => With32(r, 4, 0x777));
                break;
            case 6:
                yield return ("ATTACH_TABLE left out", r => With32(With32(r, 4, 99), 8, 0));
                yield return ("ATTACH_TABLE to another domain", r => With32(r, 4, U32(r, 4) ^ 3));
                yield return ("ATTACH_TABLE of another endpoint", r => With32(r, 8, 0));
                yield return ("ATTACH_TABLE with another format", r => With8(r, 12, (byte)(r[12] ^ 3)));
                yield return ("ATTACH_TABLE with another table", r => With32(r, 16, U32(r, 16) ^ 0x10000));
                yield return dialect == "B"
                    ? ("ATTACH_TABLE with another shape", r => With8(r, 14, (byte)(r[14] ^ 3)))
                    : ("ATTACH_TABLE with another shape", r => With8(r, 16, (byte)(r[16] ^ 0x30)));
                yield return dialect == "B"
                    ? ("ATTACH_TABLE with a narrower table", r => With32(r, 24, 5))
                    : ("ATTACH_TABLE with a narrower table", r => With8(r, 23, (byte)((r[23] & 7) | (5 << 3))));
                break;
            case 7:
                foreach ((string Kind, Func<byte[], byte[]> Change) change in Invalidations(request))
                {
                    yield return change;
                }

                break;
        }
    }

    private IEnumerable<(string Kind, Func<byte[], byte[]> Change)> Invalidations(byte[] request)
    {
        bool isB = dialect == "B";
        bool pages = request[4] == (isB ? 4 : 3);
        bool config = isB ? (request[6] & 1) != 0 : request[5] == 1;
        bool leaf = (request[6] & (isB ? 2 : 1)) != 0;
        string name = config ? leaf ? "INVALIDATE of an entry" : "INVALIDATE of a path"
            : pages ? "INVALIDATE of pages" : "INVALIDATE of a PASID";
        yield return ($"{name} left out", r => Nothing(isB, r));
        yield return ($"{name} of another domain", r => With32(r, 8, U32(r, 8) ^ 3));
        yield return ($"{name} of another PASID", r => With32(r, 12, U32(r, 12) ^ 0x800));
        yield return isB
            ? ($"{name} in the other cache", r => pages ? With8(r, 6, 1) : With8(r, 6, (byte)(r[6] ^ 1)))
            : ($"{name} in the other cache", r => With8(r, 5, (byte)(r[5] ^ 3)));
        if (config)
        {
            if (!leaf)
            {
                yield return ($"{name} with the leaf only", r => With8(r, 6, (byte)(r[6] | (isB ? 2 : 1))));
            }

            yield break;
        }

        yield return ($"{name} with another id", r => With8(r, 17, 1));
        yield return ($"{name} with the leaf only", r => With8(r, 6, (byte)(r[6] | (isB ? 2 : 1))));
        if (!isB)
        {
            yield return ($"{name} without the id", r => With8(r, 6, (byte)(r[6] & ~4)));
            yield return ($"{name} without the PASID", r => With8(r, 6, (byte)(r[6] & ~2)));
        }

        if (pages)
        {
            yield return ($"{name}, one too few", r => With32(r, 32, U32(r, 32) - 1));
            yield return ($"{name}, one too late", r => With32(r, 24, U32(r, 24) + 0x1000));
            yield return ($"{name} of another size", r => With8(r, 40, 13));
        }
    }

    // No page at all: accepted, and it drops nothing.
    private static byte[] Nothing(bool isB, byte[] request)
    {
        byte[] other = [.. request[..16], .. new byte[24], 12, .. request[41..]];
        other[4] = isB ? (byte)4 : (byte)3;
        other[5] = isB ? (byte)0 : (byte)2;
        other[6] = isB ? (byte)0 : (byte)2;
        return other;
    }

    private static uint U32(byte[] bytes, int at) => BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(at));

    private static byte[] With8(byte[] bytes, int at, byte value)
    {
        byte[] other = [.. bytes];
        other[at] = value;
        return other;
    }

    private static byte[] With32(byte[] bytes, int at, uint value)
    {
        byte[] other = [.. bytes];
        BinaryPrimitives.WriteUInt32LittleEndian(other.AsSpan(at), value);
        return other;
    }

    // What caught it, in few words; null for nothing.
    private string? Catch(
        bool coherent, bool torn, Mutation? mutation, int target = -1, Func<byte[], byte[]>? change = null)
    {
        RequestMutator? wrapped = null;
        ScenarioReport report = Run(
            coherent, mutation, torn, hardware => wrapped = new RequestMutator(hardware, target, change));
        if (report.Failures.Count == 0)
        {
            Assert.True(report.Applied || wrapped!.Applied, $"{mutation} was not reached");
            return null;
        }

        string first = report.Failures[0];
        int complaint = first.IndexOf("complaint ", StringComparison.Ordinal);
        return complaint >= 0 ? first[complaint..first.IndexOf(':', complaint)]
            : first.Contains("the walker read", StringComparison.Ordinal) ? "stray read"
            : first.Contains("must reach", StringComparison.Ordinal)
                || first.Contains("of the dying", StringComparison.Ordinal) ? "probe"
            : first.Contains(": warning: ", StringComparison.Ordinal) ? "warning"
            : first.Contains(": stale: ", StringComparison.Ordinal) ? "stale entry"
            : first.Contains("are left", StringComparison.Ordinal) ? "memory left" : "error";
    }

    private ScenarioReport Run(
        bool coherent, Mutation? mutation, bool torn, Func<IIommuHardware, RequestMutator> wrap) =>
        ModelScenario.Run(Scenarios.Setup(dialect, coherent, StoreOrder.Weak, wrap, torn), mutation);

    private sealed class Tally
    {
        private readonly SortedDictionary<string, int> _by = new(StringComparer.Ordinal);

        public int Count { get; private set; }

        public int Misses => _by.GetValueOrDefault("nothing");

        public bool Missed => _by.ContainsKey("nothing");

        public void Add(string? by)
        {
            Count++;
            by ??= "nothing";
            _by[by] = _by.GetValueOrDefault(by) + 1;
        }

        public override string ToString() => new StringBuilder().AppendJoin(", ", _by.Keys).ToString();
    }
}

public sealed class MutationsOfDialectBTests(ITestOutputHelper output) : MutationTests("B", output);

public sealed class MutationsOfDialectETests(ITestOutputHelper output) : MutationTests("E", output);
