// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Conformance.Catalogue;

/// <summary>Something that drivers, allocators or the core promise: what cases prove.</summary>
/// <param name="Id">Its name: a letter and a number for an invariant, the name of a part for a promise of the
/// contract.</param>
/// <param name="Text">What is promised: one line.</param>
public sealed record ConformanceClause(string Id, string Text)
{
    /// <summary>Every clause: allocators (A), core and lifetimes (C), drivers and tables (D), faults (F), and what the
    /// comments of the contract promise.</summary>
    public static IReadOnlyList<ConformanceClause> All { get; } =
    [
        new("A1", "A PASID lies in the range that was asked for, both ends included"),
        new("A2", "A PASID that is live is not allocated again"),
        new("A3", "A reserved PASID is never allocated"),
        new("A4", "A range of one PASID works, a range of none is refused"),
        new("A5", "A full range is refused and nothing changes"),
        new("A6", "A free of a PASID that is not live is reported and changes nothing"),
        new("A7", "A PASID that was freed can be had again"),
        new("A8", "No PASID is wider than the width that was declared, 20 bits at most"),
        new("A9", "Threads beside each other lose and double nothing"),
        new("A10", "The same seed and the same calls give the same PASIDs"),
        new("A11", "A delegate's status is never taken for a PASID"),
        new("A12", "An allocator is exchanged only while no PASID is live"),
        new("C1", "An address space has one PASID in a space at a time"),
        new("C2", "It has the same PASID on every device, or each pair of device and PASID is unique"),
        new("C3", "The first attach of a process and a domain is announced once, and comes first"),
        new("C4", "The last detach is announced once, and comes last"),
        new("C5", "Every attach that succeeded is ended by one detach"),
        new("C6", "An attach that was refused leaves nothing behind"),
        new("C7", "A lookup never finds a process without references"),
        new("C8", "After an exit a lookup finds no process"),
        new("C9", "Every reference that was taken is given back"),
        new("C10", "After the last unbind the PASID is free and the process is freed once"),
        new("C11", "A process is freed after its last link has ended"),
        new("C12", "An exit ends every link once, and each device is notified once"),
        new("C13", "An exit beside an unbind ends a link once"),
        new("C14", "A bind beside an exit fails, or the exit ends it"),
        new("C15", "A PASID that does not fit a second domain is refused and leaves the first one alone"),
        new("C16", "Each kind of refusal has its errno"),
        new("C17", "A child has no PASID, and exec drops it"),
        new("C18", "When a PASID returns is a stated rule"),
        new("C19", "No call into a driver sleeps or comes back into the core under a lock"),
        new("C20", "A lookup does not visit every live PASID"),
        new("D1", "A process is reached if and only if it is bound"),
        new("D2", "An entry is seen whole or not at all: the valid bit comes last, and goes first"),
        new("D3", "A new table's zeroes have arrived before the pointer to it"),
        new("D4", "A valid entry is replaced without a gap, or the replacement is refused"),
        new("D5", "After a detach nothing is reached: entry, configuration cache, translations, then device TLBs"),
        new("D6", "A change of mappings is seen in all of the range that was invalidated, whatever its size"),
        new("D7", "The last PASID of a table is accepted, the next one refused"),
        new("D8", "A new leaf disturbs no other entry, and one that cannot be had changes nothing"),
        new("D9", "A narrower device in a group is left out or refused by rule"),
        new("D10", "A failure on one of several devices is undone on those that succeeded"),
        new("D11", "Entries hold what was meant: every field, and zeroes where bits are reserved"),
        new("D12", "After an exit accesses are aborted without a record until the unbind"),
        new("D13", "All memory is given back after the last unbind, but for what is documented to be kept"),
        new("F1", "A group of page requests has one answer"),
        new("F2", "Parts of a group are delivered in order before its last one"),
        new("F3", "A failure of one part is the failure of its group"),
        new("F4", "A request with a PASID that is not live is answered as invalid"),
        new("F5", "After a drain no handler of that PASID runs"),
        new("F6", "A PASID that is used again sees nothing of its former use"),
        new("F7", "A full queue loses no answer"),
        new("F8", "A second answer is refused"),
        new("F9", "A device that goes beside a report is not used any more"),
        new("F10", "An unbind with requests in flight is safe"),
        new("faults", "IIommuUnit.TakeFaults names requester, PASID, address, direction and reason of each record"),
        new("honesty", "DriverCapabilities: what is declared works, what is not is refused in the stated way"),
        new("readers", "An ITableReader for the driver's tables is exported"),
        new("structures", "IStructureProvider: each structure has an id of its own, with the format's name in front"),
        new("DriverMetadata", "Names, width and contract are stated as the contract asks"),
        new("HardwareSetup.Options", "An option of hardware that is not known is refused"),
        new("IPasidDriver", "A driver serves several units, and needs nothing of them"),
        new("PasidScope", "Where the vendor owns the PASIDs, each space has its own"),
        new("UnitSetup.Name", "A unit has the name that it was given"),
        new("UnitSetup.Options", "An option of units that is not known is refused by name"),
        new("UnitSetup.PasidBits", "A unit is no wider than its setup says"),
    ];

    /// <summary>The ids in a list such as <c>C3-C5, D1</c>.</summary>
    /// <returns>The ids in the order of the list; a name that is no clause of <see cref="All"/> is one id.</returns>
    public static IEnumerable<string> Expand(string list)
    {
        ArgumentNullException.ThrowIfNull(list);
        foreach (string part in list.Split(", "))
        {
            string[] ends = part.Split('-');
            int first = IndexOf(ends[0]);
            int last = IndexOf(ends[^1]);
            if (first < 0 || last < first || ends.Length > 2)
            {
                yield return part;
                continue;
            }

            for (int i = first; i <= last; i++)
            {
                yield return All[i].Id;
            }
        }
    }

    /// <summary>Place of a clause in <see cref="All"/>; negative for none of them.</summary>
    internal static int IndexOf(string id)
    {
        int i = All.Count - 1;
        while (i >= 0 && All[i].Id != id)
        {
            i--;
        }

        return i;
    }
}
