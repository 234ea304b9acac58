/** What submitting the text would say, asked again a moment after it has changed. */
import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { checkJob } from "../api/client";

const PAUSE_MS = 400;

/** The answer is about the text `PAUSE_MS` ago; while a new one is under way, the one before stays. */
export function useCheck(text: string) {
  const [settled, setSettled] = useState(text);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(text), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [text]);
  const check = useQuery({
    queryKey: ["check", settled],
    queryFn: ({ signal }) => checkJob(settled, signal),
    placeholderData: (before) => before,
    gcTime: 60_000,
  });
  return { check, current: settled === text && !check.isFetching };
}
