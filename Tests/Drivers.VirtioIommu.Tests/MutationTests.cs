// SPDX-License-Identifier: Apache-2.0
using PasidFramework.TestKit.Mutations;

namespace PasidFramework.Drivers.VirtioIommu.Tests;

/// <summary>
/// Every store, flush, barrier and field of a request that the driver could leave out or get wrong, one at a time: the
/// model must notice, or a line of Vectors/equivalent-mutants.txt says why nobody could.
/// </summary>
public abstract class MutationTests(string dialect, ITestOutputHelper output)
{
    private static readonly MutationRunner s_runner = new(
        [
            ("the walker read", "stray read"),
            ("must reach", "probe"),
            ("of the dying", "probe"),
            (": warning: ", "warning"),
            (": refused: ", "refusal"),
            (": left behind: ", "left behind"),
            (": stale: ", "stale entry"),
            ("are left", "memory left"),
        ],
        otherwise: "error");

    [Theory]
    [InlineData(true), InlineData(false)]
    public void Every_broken_driver_is_caught_or_equivalent_for_a_reason(bool coherent)
    {
        MutationReport report = s_runner.Run(
            $"{dialect} {(coherent ? "coherent" : "not coherent")}",
            [.. StoreMutants(coherent, torn: true), .. StoreMutants(coherent, torn: false),
                .. RequestMutants(coherent)]);

        output.WriteLine(string.Join('\n', [.. report.Log, .. report.Lines]));
        Assert.True(report.Problems.Count == 0, string.Join('\n', report.Problems));
    }

    // Looking at every moment takes time, and there is something to see only while the table is written. How many
    // faults
    // there are to fetch depends on it, so each way of looking has its own clean run.
    private IEnumerable<Mutant> StoreMutants(bool coherent, bool torn)
    {
        RequestMutator clean = Clean(coherent, torn);

        // Some mistakes are covered up by what a cache keeps: then hardware that keeps nothing is the one to see them.
        RequestMutator cold = Clean(coherent, torn, cold: true);
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
                    yield return Broken("drop " + what, new Mutation.DropStore(action.Number));

                    // A store that is held back until after the next one passes every barrier and flush in between.
                    int next = clean.Actions.FindIndex(i + 1, a => a.Kind == MemoryEventKind.Store);
                    if (next >= 0 && clean.Actions.FindIndex(i, next - i, a => a.Kind == MemoryEventKind.Barrier) >= 0)
                    {
                        yield return Broken("delay " + what, new Mutation.SwapStores(action.Number));
                    }

                    break;
                case MemoryEventKind.Barrier:
                    yield return Broken("drop " + what, new Mutation.DropBarrier(action.Number));
                    break;
                case MemoryEventKind.Flush when !coherent:
                    yield return Broken("drop " + what, new Mutation.DropFlush(action.Number));
                    break;
                default:
                    break;
            }
        }

        Mutant Broken(string kind, Mutation mutation)
        {
            string place = clean.PlaceOf(clean.Actions[Index(mutation)]);
            int at = Index(mutation);
            bool same = at < cold.Actions.Count && cold.Actions[at].Address == clean.Actions[at].Address;
            return new Mutant(kind, $"{mutation}, {place}", ExcuseOf(kind), () =>
            {
                MutantRun run = Catch(coherent, torn, mutation);
                return run.Failure is null && same && torn ? Catch(coherent, torn, mutation, cold: true) : run;
            });
        }

        int Index(Mutation mutation) => mutation switch
        {
            Mutation.DropStore m => clean.Find(MemoryEventKind.Store, m.Number),
            Mutation.SwapStores m => clean.Find(MemoryEventKind.Store, m.Number),
            Mutation.DropBarrier m => clean.Find(MemoryEventKind.Barrier, m.Number),
            Mutation.DropFlush m => clean.Find(MemoryEventKind.Flush, m.Number),
            _ => throw new InvalidOperationException(),
        };
    }

    private IEnumerable<Mutant> RequestMutants(bool coherent)
    {
        RequestMutator clean = Clean(coherent, torn: false);
        for (int number = 0; number < clean.Requests.Count; number++)
        {
            int target = number;
            foreach ((string kind, Func<byte[], byte[]> change) in Changes(clean.Requests[number], number == 0))
            {
                string bytes = Convert.ToHexString(clean.Requests[number]);
                yield return new Mutant(kind, $"request {number}: {bytes}", ExcuseOf(kind), () =>
                {
                    MutantRun run = Catch(coherent, false, null, target, change);
                    return run.Failure is null ? Catch(coherent, true, null, target, change) : run;
                });
            }
        }
    }

    private RequestMutator Clean(bool coherent, bool torn, bool cold = false)
    {
        RequestMutator? clean = null;
        ScenarioReport report = Run(coherent, null, torn, hardware => clean = new RequestMutator(hardware), cold);
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
                yield return (
                    first ? "PROBE of another endpoint at the start" : "PROBE of another endpoint",
                    r => With32(r, 4, 0x777));
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
            ? ($"{name} in the other cache", r => pages ? With8(r, 6, 1) : With64(With8(r, 6, (byte)(r[6] ^ 1)), 16, 0))
            : ($"{name} in the other cache",
                r => pages ? With8(r, 5, 1) : With64(With8(r, 5, (byte)(r[5] ^ 3)), 16, 0));
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

    private static byte[] With64(byte[] bytes, int at, ulong value)
    {
        byte[] other = [.. bytes];
        BinaryPrimitives.WriteUInt64LittleEndian(other.AsSpan(at), value);
        return other;
    }

    private static string? ExcuseOf(string kind) => kind switch
    {
        "drop store of probe" => "status-comes",
        "drop store of request of type 7, word 0" => "path-before",
        _ => null,
    };

    private MutantRun Catch(
        bool coherent,
        bool torn,
        Mutation? mutation,
        int target = -1,
        Func<byte[], byte[]>? change = null,
        bool cold = false)
    {
        RequestMutator? wrapped = null;
        ScenarioReport report = Run(
            coherent, mutation, torn, hardware => wrapped = new RequestMutator(hardware, target, change), cold);
        return MutantRun.Of(report) with { Applied = report.Applied || wrapped!.Applied };
    }

    private ScenarioReport Run(
        bool coherent,
        Mutation? mutation,
        bool torn,
        Func<IIommuHardware, RequestMutator> wrap,
        bool cold = false) =>
        ModelScenario.Run(Scenarios.Setup(dialect, coherent, StoreOrder.Weak, wrap, torn, cold), mutation);
}

public sealed class MutationsOfDialectBTests(ITestOutputHelper output) : MutationTests("B", output);

public sealed class MutationsOfDialectETests(ITestOutputHelper output) : MutationTests("E", output);
