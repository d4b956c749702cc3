// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.DriverKit.PageTables;

/// <summary>The walk of radix page tables: indices, levels and rights; faults and flags are the caller's.</summary>
public static class PageWalker
{
    /// <summary>Follows one address. It ends for any content, at level 1 at the latest.</summary>
    /// <param name="format">Meaning of the entries.</param>
    /// <param name="table">Byte address of the table where the walk begins.</param>
    /// <param name="level">Its level; below the top where a cache knows the way.</param>
    /// <param name="input">The address. Bits above the first table's index select a table beside it (Arm: concatenated
    /// tables), so a caller takes away what its top table does not translate.</param>
    /// <param name="rights">What the tables above grant.</param>
    /// <param name="walk">The architecture's rules.</param>
    public static void Walk<TWalk>(
        RadixFormat format, ulong table, int level, ulong input, PageRights rights, ref TWalk walk)
        where TWalk : struct, IPageWalk, allows ref struct
    {
        ulong index = input >> format.Shift(level);
        while (true)
        {
            var step = new WalkStep(table + (index * RadixFormat.EntryBytes), level, input);
            if (!walk.Read(step, out ulong entry))
            {
                return;
            }

            EntryKind kind = format.Classify(entry, level);
            PageRights here = rights & format.RightsOf(entry, kind);
            WalkNext next = walk.Visit(step, ref entry, kind, ref here);
            if (next == WalkNext.Again)
            {
                continue;
            }

            if (next == WalkNext.End || kind != EntryKind.Table)
            {
                return;
            }

            rights = here;
            table = format.TableOf(entry);
            index = format.Index(input, --level);
        }
    }
}
