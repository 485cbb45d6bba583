import { describe, expect, it } from "vitest";
import { PlanError } from "../type/error.js";
import { checkZone, fromLocal, offsetAtUtc, toLocal, zoneTable } from "./time-zone.js";

const second = (iso: string) => BigInt(Date.parse(iso)) / 1000n;

describe("time zones", () => {
  it("knows the changes of Berlin", () => {
    const table = zoneTable("Europe/Berlin");
    expect(offsetAtUtc(table, second("2024-03-31T00:59:59Z"))).toBe(3600n);
    expect(offsetAtUtc(table, second("2024-03-31T01:00:00Z"))).toBe(7200n);
    expect(offsetAtUtc(table, second("2024-10-27T00:59:59Z"))).toBe(7200n);
    expect(offsetAtUtc(table, second("2024-10-27T01:00:00Z"))).toBe(3600n);
    // Double summer time of 1945.
    expect(offsetAtUtc(table, second("1945-06-01T00:00:00Z"))).toBe(10800n);
  });

  it.each(["America/New_York", "Africa/Casablanca", "Asia/Kolkata", "Australia/Lord_Howe", "Africa/Cairo"])(
    "agrees with Intl on %s every 11 hours of years with many changes",
    (zone) => {
      const table = zoneTable(zone);
      const format = new Intl.DateTimeFormat("sv-SE", {
        timeZone: zone,
        dateStyle: "short",
        timeStyle: "medium",
      });
      for (const year of [1943, 1976, 2014, 2024, 2061]) {
        for (let at = Date.UTC(year, 0, 1); at < Date.UTC(year + 1, 0, 1); at += 11 * 3_600_000) {
          const local = Date.parse(`${format.format(at).replace(" ", "T")}Z`);
          expect(Number(toLocal(table, BigInt(at), 1000n))).toBe(local);
        }
      }
    },
  );

  it("reads a local time that occurs twice as the first, and moves one that is skipped by the gap", () => {
    const table = zoneTable("Europe/Berlin");
    const back = (local: string) => Number(fromLocal(table, second(local), 1n)) * 1000;
    expect(new Date(back("2024-10-27T02:30:00Z")).toISOString()).toBe("2024-10-27T00:30:00.000Z");
    expect(new Date(back("2024-10-27T03:00:00Z")).toISOString()).toBe("2024-10-27T02:00:00.000Z");
    expect(new Date(back("2024-03-31T02:30:00Z")).toISOString()).toBe("2024-03-31T01:30:00.000Z");
    expect(new Date(back("2024-03-31T03:00:00Z")).toISOString()).toBe("2024-03-31T01:00:00.000Z");
  });

  it("takes fixed offsets, and refuses what is no zone", () => {
    expect(zoneTable("+02:00").offset).toEqual([7200n]);
    expect(zoneTable("-0530").offset).toEqual([-19800n]);
    expect(zoneTable("UTC").offset).toEqual([0n]);
    expect(() => zoneTable("Nowhere/Land")).toThrow(PlanError);
    expect(() => checkZone("+25:00")).toThrow(PlanError);
  });
});
